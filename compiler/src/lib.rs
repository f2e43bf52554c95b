//! TwinML text to a scheduled Program, with every diagnostic on the way.
