//! getsockopt and setsockopt.

mod get;
mod set;
