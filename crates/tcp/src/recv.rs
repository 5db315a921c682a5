//! The receive side.

pub(crate) mod buffer;
pub(crate) mod reassembly;
