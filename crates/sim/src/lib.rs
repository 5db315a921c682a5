//! A whole network in one thread, in virtual time, from a seed.
