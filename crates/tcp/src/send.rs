//! The send side.

pub(crate) mod buffer;
