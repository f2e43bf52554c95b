//! Step size control: error norms, controllers, the first step.
