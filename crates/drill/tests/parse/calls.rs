//! System calls and their arguments.

use woshou_drill::ast::{Expr, ExprKind, Field};

use super::call;

/// An argument as a list of what it is made of, without its places.
fn shape(expr: &Expr) -> String {
    let all = |list: &[Expr]| list.iter().map(shape).collect::<Vec<_>>().join(" ");
    match &expr.kind {
        ExprKind::Ellipsis => "any".to_owned(),
        ExprKind::Int { value, hex } => format!("{}{value}", if *hex { "hex " } else { "" }),
        ExprKind::Word(word) => format!("word {word}"),
        ExprKind::Str(text) => format!("str {text:?}"),
        ExprKind::Prefix(text) => format!("prefix {text:?}"),
        ExprKind::Address(address) => format!("address {address}"),
        ExprKind::Or(operands) => format!("(or {})", all(operands)),
        ExprKind::Assign(name, value) => format!("({} := {})", name.value, shape(value)),
        ExprKind::List(list) => format!("[{}]", all(list)),
        ExprKind::Struct(fields) => {
            let fields: Vec<String> = fields.iter().map(member).collect();
            format!("{{{}}}", fields.join("; "))
        }
        ExprKind::Function(name, arguments) => format!("({} {})", name.value, all(arguments)),
        ExprKind::Opaque(text) => format!("opaque {text:?}"),
    }
}

fn member(field: &Field) -> String {
    let name = field
        .name
        .as_ref()
        .map_or(String::new(), |name| format!("{} ", name.value));
    let count = field
        .count
        .as_ref()
        .map_or(String::new(), |count| format!("x{} ", shape(count)));
    format!("{name}{count}{}", shape(&field.value))
}

#[test]
fn every_form_of_an_argument() {
    let table = [
        ("...", "any"),
        ("0", "0"),
        ("-1", "-1"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("0x1F", "hex 31"),
        ("SOCK_STREAM", "word SOCK_STREAM"),
        (
            "SOCK_STREAM|SOCK_NONBLOCK",
            "(or word SOCK_STREAM word SOCK_NONBLOCK)",
        ),
        ("O_RDWR | 0x800 | 1", "(or word O_RDWR hex 2048 1)"),
        ("\"reno\"", "str \"reno\""),
        ("\"\"", "str \"\""),
        ("\"ab\" \"cd\"\n\"ef\"", "str \"abcdef\""),
        ("\"raw \\n stays\"", "str \"raw \\\\n stays\""),
        ("\"a \\\" b\"", "str \"a \\\\\\\" b\""),
        ("\"// no comment\"", "str \"// no comment\""),
        ("\"abc\"...", "prefix \"abc\""),
        ("[]", "[]"),
        ("[1]", "[1]"),
        ("[...]", "[any]"),
        ("[5, SOMETHING, [6]]", "[5 word SOMETHING [6]]"),
        ("192.0.2.1", "address 192.0.2.1"),
        ("2001:db8::1", "address 2001:db8::1"),
        ("htons(8080)", "(htons 8080)"),
        ("htonl(0x7f000001)", "(htonl hex 2130706433)"),
        ("inet_addr(\"192.0.2.7\")", "(inet_addr str \"192.0.2.7\")"),
        ("inet6_addr(\"fe80::1\")", "(inet6_addr str \"fe80::1\")"),
        ("FLAG = 1", "(FLAG := 1)"),
        ("NULL", "word NULL"),
    ];
    for (text, expected) in table {
        let call = call(&format!("f({text}) = 0"));
        assert_eq!(call.arguments.len(), 1, "{text}");
        assert_eq!(shape(&call.arguments[0]), expected, "{text}");
    }
}

#[test]
fn every_structure() {
    let table = [
        ("{}", "{}"),
        ("{..., 1000}", "{any; 1000}"),
        ("{iov_base=..., iov_len=10}", "{iov_base any; iov_len 10}"),
        ("{onoff=1, linger=0}", "{onoff 1; linger 0}"),
        ("{onoff=..., linger=...}", "{onoff any; linger any}"),
        ("{fd=3, events=POLLIN}", "{fd 3; events word POLLIN}"),
        (
            "{fd=3, events=POLLIN|POLLOUT, revents=POLLOUT}",
            "{fd 3; events (or word POLLIN word POLLOUT); revents word POLLOUT}",
        ),
        ("{events=EPOLLIN, fd=4}", "{events word EPOLLIN; fd 4}"),
        (
            "{events=EPOLLIN|EPOLLET, ptr=4}",
            "{events (or word EPOLLIN word EPOLLET); ptr 4}",
        ),
        ("{events=EPOLLOUT, u32=7}", "{events word EPOLLOUT; u32 7}"),
        (
            "{events=EPOLLOUT, u64=0xffff}",
            "{events word EPOLLOUT; u64 hex 65535}",
        ),
        (
            "{msg_name(...)=..., msg_iov(2)=[{..., 10},{..., 20}], msg_flags=0}",
            "{msg_name xany any; msg_iov x2 [{any; 10} {any; 20}]; msg_flags 0}",
        ),
        (
            "{msg_name(...)=..., msg_iov(1)=[{...,5}], msg_flags=MSG_ERRQUEUE, \
             msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=8}]}",
            "{msg_name xany any; msg_iov x1 [{any; 5}]; msg_flags word MSG_ERRQUEUE; \
             msg_control [{cmsg_level word SOL_TCP; cmsg_type word TCP_CM_INQ; cmsg_data 8}]}",
        ),
        (
            "{msg_iov(1)=[{iov_base=..., iov_len=5}], msg_control(0)=[], msg_flags=0}",
            "{msg_iov x1 [{iov_base any; iov_len 5}]; msg_control x0 []; msg_flags 0}",
        ),
        (
            "{cmsg_level=SOL_IP, cmsg_type=IP_RECVERR, cmsg_data={ee_errno=0, ee_origin=5, \
             ee_type=0, ee_code=1, ee_info=0, ee_data=3}}",
            "{cmsg_level word SOL_IP; cmsg_type word IP_RECVERR; cmsg_data {ee_errno 0; ee_origin 5; \
             ee_type 0; ee_code 1; ee_info 0; ee_data 3}}",
        ),
        (
            "{scm_sec=0, scm_nsec=10000000}",
            "{scm_sec 0; scm_nsec 10000000}",
        ),
        (
            "{sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr(\"192.0.2.1\")}",
            "{sa_family word AF_INET; sin_port (htons 8080); sin_addr (inet_addr str \"192.0.2.1\")}",
        ),
        (
            "{enable=1, psk=11223344556677889900112233445566}",
            "{enable 1; psk word 11223344556677889900112233445566}",
        ),
        ("{enable=..., psk=...}", "{enable any; psk any}"),
        (
            "{function_set_name=\"rack\", pcbcnt=...}",
            "{function_set_name str \"rack\"; pcbcnt any}",
        ),
        ("{af_name=\"dataready\"}", "{af_name str \"dataready\"}"),
        ("{flags=1}", "{flags 1}"),
        (
            "{(label 1, tc 0, ttl 3)}",
            "opaque \"(label 1, tc 0, ttl 3)\"",
        ),
        ("{flags [none], sum 0}", "opaque \"flags [none], sum 0\""),
    ];
    for (text, expected) in table {
        let call = call(&format!("f({text}) = 0"));
        assert_eq!(shape(&call.arguments[0]), expected, "{text}");
        let again = super::call(&format!("f({}) = 0", call.arguments[0]));
        assert_eq!(shape(&again.arguments[0]), expected, "{text}");
    }
}

#[test]
fn socket_addresses() {
    let table = [
        (
            "{sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr(\"192.0.2.1\")}",
            Some("192.0.2.1:8080"),
        ),
        (
            "{sa_family=AF_INET6, sin_port=htons(1), sin_addr=inet_addr(\"2001:db8::1\")}",
            Some("[2001:db8::1]:1"),
        ),
        (
            "{sa_family=AF_INET6, sin6_port=htons(2), sin6_addr=inet6_addr(\"::1\")}",
            Some("[::1]:2"),
        ),
        (
            "{sin_port=htons(3), sin_addr=192.0.2.3}",
            Some("192.0.2.3:3"),
        ),
        ("{sa_family=AF_INET, sin_port=..., sin_addr=...}", None),
        ("...", None),
    ];
    for (text, expected) in table {
        let call = call(&format!("bind(3, {text}, ...) = 0"));
        let address = call.arguments[1]
            .socket_addr()
            .map(|address| address.to_string());
        assert_eq!(address.as_deref(), expected, "{text}");
    }
}

#[test]
fn views_of_an_argument() {
    let call = call("f(7, WORD, \"s\", [1, 2], {fd=3, events=A|B}, ...) = -1");
    let [int, word, text, list, structure, any] = call.arguments.as_slice() else {
        panic!("six")
    };
    assert_eq!((int.int(), word.int()), (Some(7), None));
    assert_eq!((word.word(), int.word()), (Some("WORD"), None));
    assert_eq!((text.text(), word.text()), (Some("s"), None));
    assert_eq!(list.list().map(<[Expr]>::len), Some(2));
    assert_eq!(structure.fields().map(<[Field]>::len), Some(2));
    assert_eq!(structure.field("fd").and_then(Expr::int), Some(3));
    assert_eq!(structure.field("nothing"), None);
    let words: Vec<_> = structure
        .field("events")
        .expect("events")
        .operands()
        .iter()
        .map(Expr::word)
        .collect();
    assert_eq!(words, [Some("A"), Some("B")]);
    assert_eq!(any.operands().len(), 1);
    assert_eq!(call.result.int(), Some(-1));
}

#[test]
fn results_errors_and_remarks() {
    let table = [
        ("close(3) = 0", "0", None, None),
        ("f() = 3", "3", None, None),
        ("read(4, ..., 10) = -1 EAGAIN", "-1", Some("EAGAIN"), None),
        (
            "read(4, ..., 10) = -1 EAGAIN (Resource temporarily unavailable)",
            "-1",
            Some("EAGAIN"),
            Some("Resource temporarily unavailable"),
        ),
        (
            "fcntl(3, F_GETFL) = 0x2 (flags O_RDWR)",
            "hex 2",
            None,
            Some("flags O_RDWR"),
        ),
        (
            "fcntl(3, F_GETFL) = 2050 (flags O_RDWR|O_NONBLOCK)",
            "2050",
            None,
            Some("flags O_RDWR|O_NONBLOCK"),
        ),
        (
            "connect(3, ..., ...) = -1 EADDRNOTAVAIL (Can't assign (the) address)",
            "-1",
            Some("EADDRNOTAVAIL"),
            Some("Can't assign (the) address"),
        ),
        (
            "f() = -1 EPIPE (Broken pipe) (second)",
            "-1",
            Some("EPIPE"),
            Some("second"),
        ),
        ("f() = ...", "any", None, None),
        ("f() = A|B", "(or word A word B)", None, None),
    ];
    for (text, result, errno, note) in table {
        let call = call(text);
        assert_eq!(shape(&call.result), result, "{text}");
        assert_eq!(
            call.errno.as_ref().map(|errno| errno.value.as_str()),
            errno,
            "{text}"
        );
        assert_eq!(
            call.note.as_ref().map(|note| note.value.as_str()),
            note,
            "{text}"
        );
    }
}

/// One line for each call that the suites use: name, arguments, and the same text when printed.
#[test]
fn every_call() {
    let table = [
        ("socket(..., SOCK_STREAM, IPPROTO_TCP) = 3", "socket", 3),
        ("bind(3, ..., ...) = 0", "bind", 3),
        ("listen(3, 1) = 0", "listen", 2),
        ("accept(3, ..., ...) = 4", "accept", 3),
        (
            "connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)",
            "connect",
            3,
        ),
        ("read(4, ..., 1000) = 1000", "read", 3),
        ("readv(4, [{..., 10}, {..., 20}], 2) = 30", "readv", 3),
        ("recv(4, ..., 100, MSG_PEEK|MSG_DONTWAIT) = 100", "recv", 4),
        ("recvfrom(4, ..., 100, 0, ..., ...) = 100", "recvfrom", 6),
        (
            "recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 10}], msg_flags=0}, 0) = 10",
            "recvmsg",
            3,
        ),
        ("write(4, ..., 1000) = 1000", "write", 3),
        ("writev(4, [{..., 10}], 1) = 10", "writev", 3),
        ("send(4, ..., 10, MSG_MORE) = 10", "send", 4),
        (
            "sendto(4, ..., 10, MSG_FASTOPEN, ..., ...) = 10",
            "sendto",
            6,
        ),
        (
            "sendmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 10}], msg_flags=0}, MSG_ZEROCOPY) = 10",
            "sendmsg",
            3,
        ),
        ("shutdown(4, SHUT_WR) = 0", "shutdown", 2),
        ("close(4) = 0", "close", 1),
        ("fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0", "fcntl", 3),
        ("ioctl(4, SIOCINQ, [1000]) = 0", "ioctl", 3),
        (
            "poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, 0) = 1",
            "poll",
            3,
        ),
        ("epoll_create(1) = 5", "epoll_create", 1),
        (
            "epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN, fd=4}) = 0",
            "epoll_ctl",
            4,
        ),
        (
            "epoll_wait(5, {events=EPOLLIN, ptr=4}, 1, 0) = 1",
            "epoll_wait",
            4,
        ),
        (
            "getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0",
            "getsockopt",
            5,
        ),
        (
            "setsockopt(3, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0",
            "setsockopt",
            5,
        ),
        (
            "setsockopt(3, IPPROTO_TCP, TCP_CONGESTION, \"reno\", 4) = 0",
            "setsockopt",
            5,
        ),
        ("splice(6, NULL, 4, NULL, 100, 0) = 100", "splice", 6),
        ("pipe([6, 7]) = 0", "pipe", 1),
        ("open(\"/dev/null\", O_RDONLY) = 6", "open", 2),
        ("sendfile(4, 6, [0], 100) = 100", "sendfile", 4),
        ("cap_set(0) = 0", "cap_set", 1),
        ("psp_set_key(4, 1) = 0", "psp_set_key", 2),
    ];
    for (text, name, arguments) in table {
        let call = call(text);
        assert_eq!(
            (call.name.value.as_str(), call.arguments.len()),
            (name, arguments),
            "{text}"
        );
        assert_eq!(call.to_string(), text);
    }
}
