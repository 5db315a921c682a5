//! `errno`: names, numbers and texts.

use core::fmt;

use crate::personality::Personality;

macro_rules! errnos {
    ($($name:ident $linux:literal $freebsd:literal $text:literal)*) => {
        /// Why a call failed, by the name that POSIX gives it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Errno { $(#[doc = $text] $name,)* }

        impl Errno {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name: `ECONNRESET`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What `strerror` says.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Its number.
            #[must_use]
            pub const fn number(self, personality: Personality) -> i32 {
                match (self, personality) {
                    $((Self::$name, Personality::Linux) => $linux,
                      (Self::$name, Personality::FreeBsd) => $freebsd,)*
                }
            }
        }
    };
}

errnos! {
    EPERM 1 1 "Operation not permitted"
    ENOENT 2 2 "No such file or directory"
    EINTR 4 4 "Interrupted system call"
    EBADF 9 9 "Bad file descriptor"
    EAGAIN 11 35 "Resource temporarily unavailable"
    ENOMEM 12 12 "Cannot allocate memory"
    EACCES 13 13 "Permission denied"
    EFAULT 14 14 "Bad address"
    EEXIST 17 17 "File exists"
    EINVAL 22 22 "Invalid argument"
    EMFILE 24 24 "Too many open files"
    ENOTTY 25 25 "Inappropriate ioctl for device"
    EPIPE 32 32 "Broken pipe"
    EDOM 33 33 "Numerical argument out of domain"
    ELOOP 40 62 "Too many levels of symbolic links"
    EPROTO 71 92 "Protocol error"
    ENOTSOCK 88 38 "Socket operation on non-socket"
    EDESTADDRREQ 89 39 "Destination address required"
    EMSGSIZE 90 40 "Message too long"
    ENOPROTOOPT 92 42 "Protocol not available"
    EPROTONOSUPPORT 93 43 "Protocol not supported"
    ESOCKTNOSUPPORT 94 44 "Socket type not supported"
    EOPNOTSUPP 95 45 "Operation not supported"
    EAFNOSUPPORT 97 47 "Address family not supported by protocol"
    EADDRINUSE 98 48 "Address already in use"
    EADDRNOTAVAIL 99 49 "Cannot assign requested address"
    ENETUNREACH 101 51 "Network is unreachable"
    ECONNABORTED 103 53 "Software caused connection abort"
    ECONNRESET 104 54 "Connection reset by peer"
    ENOBUFS 105 55 "No buffer space available"
    EISCONN 106 56 "Transport endpoint is already connected"
    ENOTCONN 107 57 "Transport endpoint is not connected"
    ETIMEDOUT 110 60 "Connection timed out"
    ECONNREFUSED 111 61 "Connection refused"
    EHOSTUNREACH 113 65 "No route to host"
    EALREADY 114 37 "Operation already in progress"
    EINPROGRESS 115 36 "Operation now in progress"
}

impl Errno {
    /// The one that is called `name`; `EWOULDBLOCK` and `ENOTSUP` are other names of `EAGAIN` and `EOPNOTSUPP`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = match name {
            "EWOULDBLOCK" => "EAGAIN",
            "ENOTSUP" => "EOPNOTSUPP",
            name => name,
        };
        Self::ALL.iter().copied().find(|errno| errno.name() == name)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_unique() {
        for (at, errno) in Errno::ALL.iter().enumerate() {
            assert_eq!(Errno::from_name(errno.name()), Some(*errno));
            for other in &Errno::ALL[..at] {
                for personality in [Personality::Linux, Personality::FreeBsd] {
                    assert_ne!(
                        errno.number(personality),
                        other.number(personality),
                        "{errno} {other}"
                    );
                }
            }
        }
        assert_eq!(Errno::from_name("EWOULDBLOCK"), Some(Errno::EAGAIN));
        assert_eq!(Errno::from_name("ENOSUCH"), None);
        assert_eq!(Errno::ECONNRESET.number(Personality::Linux), 104);
        assert_eq!(Errno::ECONNRESET.number(Personality::FreeBsd), 54);
        assert_eq!(Errno::EPIPE.to_string(), "EPIPE (Broken pipe)");
    }
}
