//! TCP as a library: TcpStream and TcpListener in userspace, on tokio.
