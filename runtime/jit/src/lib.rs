//! Program kernels to machine code. All unsafe code of the project lives here.
