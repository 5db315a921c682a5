//! The numbers behind the names that callers use; Linux's, whatever the personality.

#![allow(
    non_upper_case_globals,
    reason = "TCP_CA_Open and its like are named so by Linux"
)]

macro_rules! constants {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        $($(#[$doc])* pub const $name: i32 = $value;)*

        /// The number that is called `name`.
        #[must_use]
        pub fn by_name(name: &str) -> Option<i32> {
            Some(match name {
                $(stringify!($name) => $name,)*
                _ => return None,
            })
        }
    };
}

constants! {
    /// IPv4.
    AF_INET = 2;
    /// IPv6.
    AF_INET6 = 10;
    /// IPv4.
    PF_INET = 2;
    /// IPv6.
    PF_INET6 = 10;
    /// A stream of octets.
    SOCK_STREAM = 1;
    /// Datagrams.
    SOCK_DGRAM = 2;
    /// Raw packets.
    SOCK_RAW = 3;
    /// `socket`, `accept4`: calls do not wait.
    SOCK_NONBLOCK = 0o4000;
    /// `socket`, `accept4`: closed by `exec`.
    SOCK_CLOEXEC = 0o2_000_000;
    /// The family's usual protocol.
    IPPROTO_IP = 0;
    /// TCP.
    IPPROTO_TCP = 6;
    /// IPv6, as an option level.
    IPPROTO_IPV6 = 41;
    /// Multipath TCP.
    IPPROTO_MPTCP = 262;
    /// Opened to read.
    O_RDONLY = 0;
    /// Opened to write.
    O_WRONLY = 1;
    /// Opened to read and write, as every socket.
    O_RDWR = 2;
    /// Calls do not wait.
    O_NONBLOCK = 0o4000;
    /// `shutdown`: no more reading.
    SHUT_RD = 0;
    /// `shutdown`: no more writing.
    SHUT_WR = 1;
    /// `shutdown`: neither.
    SHUT_RDWR = 2;
    /// The most that a caller of `listen` may ask for, in old headers.
    SOMAXCONN = 4096;

    /// Urgent text.
    MSG_OOB = 0x1;
    /// Reads and leaves the text where it is.
    MSG_PEEK = 0x2;
    /// No effect here.
    MSG_DONTROUTE = 0x4;
    /// `recvmsg`: control data did not fit.
    MSG_CTRUNC = 0x8;
    /// TCP: the text is thrown away instead of copied.
    MSG_TRUNC = 0x20;
    /// This call does not wait.
    MSG_DONTWAIT = 0x40;
    /// End of a record; no effect on TCP.
    MSG_EOR = 0x80;
    /// Waits until the buffer is full.
    MSG_WAITALL = 0x100;
    /// No effect on TCP.
    MSG_CONFIRM = 0x800;
    /// Reads the error queue, which is always empty here.
    MSG_ERRQUEUE = 0x2000;
    /// No SIGPIPE; there never is one here.
    MSG_NOSIGNAL = 0x4000;
    /// More text follows at once.
    MSG_MORE = 0x8000;
    /// The caller's memory is sent without a copy; here it is copied.
    MSG_ZEROCOPY = 0x400_0000;
    /// `connect` and `send` in one.
    MSG_FASTOPEN = 0x2000_0000;
    /// No effect here.
    MSG_CMSG_CLOEXEC = 0x4000_0000;

    /// There is text, the end of it, or a connection to accept.
    POLLIN = 0x1;
    /// There is urgent text.
    POLLPRI = 0x2;
    /// There is room to write.
    POLLOUT = 0x4;
    /// There is an error to fetch.
    POLLERR = 0x8;
    /// Both directions are over.
    POLLHUP = 0x10;
    /// No such descriptor.
    POLLNVAL = 0x20;
    /// As POLLIN.
    POLLRDNORM = 0x40;
    /// Never set here.
    POLLRDBAND = 0x80;
    /// As POLLOUT.
    POLLWRNORM = 0x100;
    /// Never set here.
    POLLWRBAND = 0x200;
    /// Never set here.
    POLLMSG = 0x400;
    /// The peer has closed its direction.
    POLLRDHUP = 0x2000;
    /// As POLLIN.
    EPOLLIN = 0x1;
    /// As POLLPRI.
    EPOLLPRI = 0x2;
    /// As POLLOUT.
    EPOLLOUT = 0x4;
    /// As POLLERR.
    EPOLLERR = 0x8;
    /// As POLLHUP.
    EPOLLHUP = 0x10;
    /// As POLLIN.
    EPOLLRDNORM = 0x40;
    /// As POLLRDBAND.
    EPOLLRDBAND = 0x80;
    /// As POLLOUT.
    EPOLLWRNORM = 0x100;
    /// As POLLWRBAND.
    EPOLLWRBAND = 0x200;
    /// As POLLMSG.
    EPOLLMSG = 0x400;
    /// As POLLRDHUP.
    EPOLLRDHUP = 0x2000;
    /// One waiter of several is woken; here there is one.
    EPOLLEXCLUSIVE = 1 << 28;
    /// No effect here.
    EPOLLWAKEUP = 1 << 29;
    /// Told once, then silent until EPOLL_CTL_MOD.
    EPOLLONESHOT = 1 << 30;
    /// Told when it changes, not while it lasts.
    EPOLLET = i32::MIN;
    /// `epoll_ctl`: watch a descriptor.
    EPOLL_CTL_ADD = 1;
    /// `epoll_ctl`: watch it no more.
    EPOLL_CTL_DEL = 2;
    /// `epoll_ctl`: watch it otherwise.
    EPOLL_CTL_MOD = 3;
    /// As O_CLOEXEC.
    EPOLL_CLOEXEC = 0o2_000_000;

    /// `fcntl`: read the descriptor's flags.
    F_GETFD = 1;
    /// `fcntl`: set the descriptor's flags.
    F_SETFD = 2;
    /// `fcntl`: read the file's flags.
    F_GETFL = 3;
    /// `fcntl`: set the file's flags.
    F_SETFL = 4;
    /// The descriptor is closed by `exec`.
    FD_CLOEXEC = 1;
    /// `ioctl`: octets to read.
    SIOCINQ = 0x541B;
    /// `ioctl`: octets to read.
    FIONREAD = 0x541B;
    /// `ioctl`: octets not acknowledged.
    SIOCOUTQ = 0x5411;
    /// `ioctl`: octets not acknowledged.
    TIOCOUTQ = 0x5411;
    /// `ioctl`: octets not sent.
    SIOCOUTQNSD = 0x894B;
    /// `ioctl`: O_NONBLOCK on or off.
    FIONBIO = 0x5421;
    /// `ioctl`: at the urgent mark?
    SIOCATMARK = 0x8905;

    /// IP_MTU_DISCOVER: never set DF.
    IP_PMTUDISC_DONT = 0;
    /// IP_MTU_DISCOVER: path MTU discovery by route.
    IP_PMTUDISC_WANT = 1;
    /// IP_MTU_DISCOVER: always path MTU discovery.
    IP_PMTUDISC_DO = 2;
    /// IP_MTU_DISCOVER: set DF and ignore what routers say.
    IP_PMTUDISC_PROBE = 3;

    /// `tcpi_options`: timestamps were agreed.
    TCPI_OPT_TIMESTAMPS = 1;
    /// `tcpi_options`: SACK was agreed.
    TCPI_OPT_SACK = 2;
    /// `tcpi_options`: window scaling was agreed.
    TCPI_OPT_WSCALE = 4;
    /// `tcpi_options`: ECN was agreed.
    TCPI_OPT_ECN = 8;
    /// `tcpi_options`: a packet with ECT was received.
    TCPI_OPT_ECN_SEEN = 16;
    /// `tcpi_options`: text on our SYN was acknowledged.
    TCPI_OPT_SYN_DATA = 32;
    /// `tcpi_ca_state`: no loss is known.
    TCP_CA_Open = 0;
    /// `tcpi_ca_state`: duplicate acknowledgements.
    TCP_CA_Disorder = 1;
    /// `tcpi_ca_state`: the peer reports congestion (ECN).
    TCP_CA_CWR = 2;
    /// `tcpi_ca_state`: a loss is being repaired.
    TCP_CA_Recovery = 3;
    /// `tcpi_ca_state`: the timer fired.
    TCP_CA_Loss = 4;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_numbers() {
        assert_eq!(by_name("POLLIN"), Some(POLLIN));
        assert_eq!(by_name("EPOLLET").map(i32::cast_unsigned), Some(1 << 31));
        assert_eq!(by_name("TCP_CA_Loss"), Some(4));
        assert_eq!(by_name("POLLNOTHING"), None);
    }
}
