//! Bytes to headers and back. No state, no clock, no allocation on the parse path.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod tcp_option;
