//! Who may connect, and what clients can't do to a server and to each other.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Asked, Serving, answer_to, night};
use crate::support::job::JOB;
use crate::support::program::poll;

/// A query that takes as long as it may.
const ENDLESS: &str = "SELECT sum(n % 7) FROM generate_series(1, 100000000000000) AS a(n)";

#[test]
fn it_is_not_started_open() {
    let night = night();
    for (arguments, expected) in [
        (&["--listen", "0.0.0.0:0"][..], "needs TLS and a password"),
        (&["--listen", "[::]:0"], "needs TLS and a password"),
        (
            &["--listen", "0.0.0.0:0", "--password-file", "password"],
            "expected --tls-cert and --tls-key",
        ),
        (&["--tls-cert", "server.crt"], "--tls-key"),
        (&["--listen", "somewhere"], "is no address with a port"),
        (&["--password-file", "nothing"], "can't read the password"),
    ] {
        night.dir.write("password", "secret\n");
        let arguments = ["serve", JOB].iter().chain(arguments);
        night
            .dir
            .logtally(arguments)
            .run()
            .assert_code(2)
            .stderr_contains(expected);
    }
}

#[test]
fn a_password_and_tls_are_asked_for() {
    let night = night();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout",
            "server.key",
            "-out",
            "server.crt",
        ])
        .current_dir(night.dir.path())
        .output()
        .expect("openssl is there");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let certificate = night.dir.join("server.crt");
    let certificate = certificate.to_str().unwrap();
    let key = night.dir.join("server.key");
    let tls = [
        "--tls-cert",
        certificate,
        "--tls-key",
        key.to_str().unwrap(),
    ];
    let server = Serving::start_with(&night, tls, &[("LOGTALLY_PASSWORD", "s3cret ü")]);
    let ask = |password: &str, more: &str| {
        let address = format!("{} {more}", server.address());
        Asked::of(
            Command::new("psql")
                .args(["-XAtwc", "SELECT count(*) FROM logs", "-d", &address])
                .env("PGPASSWORD", password),
        )
    };
    let verified = format!("sslmode=verify-full sslrootcert={certificate}");
    let asked = ask("s3cret ü", &verified);
    assert_eq!(asked.stdout, "24\n", "{}", asked.stderr);
    let bound = ask("s3cret ü", &format!("{verified} channel_binding=require"));
    assert_eq!(bound.stdout, "24\n", "{}", bound.stderr);
    let wrong = ask("secret", &verified);
    assert!(
        wrong.stderr.contains("the password is wrong"),
        "{}",
        wrong.stderr
    );
    let plain = ask("s3cret ü", "sslmode=disable");
    assert!(
        plain.stderr.contains("this server wants TLS"),
        "{}",
        plain.stderr
    );
    // SSLRequest with a message in the same packet, which a man in the middle could have put there.
    let mut bytes = vec![0, 0, 0, 8, 4, 210, 22, 47];
    bytes.extend(b"Q\0\0\0\x0dSELECT 1\0");
    assert_eq!(answer_to(server.port, &bytes), b"S");
    server.stop().assert_success();
}

#[test]
fn messages_that_are_none_end_their_connection_only() {
    let night = night();
    let server = Serving::start_with(&night, [], &[("LOGTALLY_PASSWORD", "secret")]);
    let startup = |body: &[u8]| {
        let mut message = u32::try_from(body.len() + 8)
            .unwrap()
            .to_be_bytes()
            .to_vec();
        message.extend([0, 3, 0, 0]);
        message.extend(body);
        message
    };
    let hello = startup(b"user\0anna\0\0");
    for bytes in [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        vec![0xff; 64],
        vec![0, 0, 0, 4],
        [hello.clone(), b"Q\0\0\0\x0dSELECT 1\0".to_vec()].concat(),
        // A message of a gigabyte before the password.
        [hello.clone(), b"p\x3f\xff\xff\xff".to_vec()].concat(),
        startup(b"user"),
    ] {
        let answer = answer_to(server.port, &bytes);
        assert!(
            !answer.windows(5).any(|part| part == b"Z\0\0\0\x05"),
            "{bytes:?}: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    let address = server.address();
    let asked = Asked::of(
        Command::new("psql")
            .args(["-XAtwc", "SELECT 1", "-d", &address])
            .env("PGPASSWORD", "secret"),
    );
    assert_eq!(asked.stdout, "1\n", "{}", asked.stderr);
}

#[test]
fn statements_end_when_they_are_cancelled_late_or_left() {
    let night = night();
    let server = Serving::start(&night, ["--timeout", "1m", "--at-once", "2"]);
    let limited = server.psql(["-c", "SET statement_timeout = '200ms'", "-c", ENDLESS]);
    assert!(
        limited
            .stderr
            .contains("canceling statement due to statement timeout"),
        "{}",
        limited.stderr
    );
    let psql = || {
        let mut command = Command::new("psql");
        command.args(["-X", "-c", ENDLESS, "-d", &server.address()]);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql is there")
    };
    // Ctrl-C in psql is a cancel request.
    let asking = psql();
    thread::sleep(Duration::from_millis(500));
    let interrupt = |id: u32, signal: &str| {
        Command::new("kill")
            .args([signal, &id.to_string()])
            .status()
            .unwrap()
    };
    assert!(interrupt(asking.id(), "-INT").success());
    let cancelled = asking.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&cancelled.stderr).into_owned();
    assert!(
        said.contains("canceling statement due to user request"),
        "{said}"
    );
    // Clients that vanish leave their turns to others, of which there are two.
    for _ in 0..3 {
        let mut left = psql();
        thread::sleep(Duration::from_millis(300));
        left.kill().unwrap();
        left.wait().unwrap();
    }
    let begun = Instant::now();
    assert_eq!(server.ask("SELECT count(*) FROM logs"), "24");
    assert!(
        begun.elapsed() < Duration::from_secs(50),
        "the turns were not given back"
    );
}

#[test]
fn one_statement_takes_no_memory_of_others() {
    let night = night();
    let mut server = Serving::start(
        &night,
        ["--memory", "192MiB", "--at-once", "2", "--timeout", "1m"],
    );
    let bombs = [
        "SELECT array_agg(a.n) FROM generate_series(1, 10000000000) AS a(n)",
        "SELECT count(*) FROM (SELECT DISTINCT a.n * 100000 + b.n AS k FROM generate_series(1, 100000) AS a(n), generate_series(1, 100000) AS b(n)) AS t",
        "SELECT string_agg(repeat('x', 1000000), '') FROM generate_series(1, 100000) AS a(n)",
        "SELECT repeat('x', 2000000000)",
        "SELECT string_agg(a.relname || b.relname || c.relname, ',') FROM pg_class a, pg_class b, pg_class c, pg_type d, pg_type e, pg_proc f, pg_proc g",
    ];
    thread::scope(|scope| {
        let server = &server;
        for bomb in bombs {
            scope.spawn(move || {
                let asked = server.psql(["-c", "SET statement_timeout = '20s'", "-c", bomb]);
                assert!(!asked.is_success, "{bomb}: {}", asked.stdout);
            });
        }
        for _ in 0..20 {
            assert_eq!(
                server.ask("SELECT count(*), count(DISTINCT message) FROM logs"),
                "24|24"
            );
        }
    });
    assert!(server.running.is_running());
    if let Some(peak) = server.running.peak_memory() {
        assert!(peak < 700 << 20, "{} MiB", peak >> 20);
    }
}

#[test]
fn connections_are_limited_and_answers_are_not_mixed_up() {
    let night = night();
    let server = Serving::start(&night, ["--connections", "20"]);
    thread::scope(|scope| {
        let server = &server;
        for number in 0..20 {
            scope.spawn(move || {
                let sql = format!("SELECT {number} AS n, count(*) FROM logs WHERE json_get_int(message, 'ms') >= {number} * 10");
                for _ in 0..3 {
                    assert_eq!(server.ask(&sql), format!("{number}|{}", 24 - number));
                }
            });
        }
    });
    let hold = || {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream
            .write_all(b"\0\0\0\x13\0\x03\0\0user\0anna\0\0")
            .unwrap();
        let mut answer = [0; 16];
        stream.read_exact(&mut answer).unwrap();
        stream
    };
    // Places are free when the server has seen the ends of the connections before.
    let mut held = Vec::new();
    poll("no place is free", || match held.len() {
        20 => true,
        _ => {
            held.push(hold());
            false
        }
    });
    let refused = server.psql(["-c", "SELECT 1"]);
    assert!(
        refused.stderr.contains("too many clients already"),
        "{}",
        refused.stderr
    );
    drop(held);
    poll("a place is free", || {
        server.psql(["-c", "SELECT 1"]).is_success
    });
}

#[test]
fn statements_that_are_kept_are_limited() {
    let night = night();
    let server = Serving::start(&night, []);
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream
        .write_all(b"\0\0\0\x13\0\x03\0\0user\0anna\0\0")
        .unwrap();
    let message = |kind: u8, body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind][..], &length, body].concat()
    };
    let statements = (0..=1000).flat_map(|number| {
        let body = format!("s{number}\0SELECT 1\0\0\0");
        message(b'P', body.as_bytes())
    });
    let sync = message(b'S', b"");
    let close = message(b'C', b"Ss0\0");
    let query = message(b'Q', b"SELECT 'still here'\0");
    let leave = message(b'X', b"");
    let all = statements
        .chain(sync)
        .chain(close)
        .chain(query)
        .chain(leave);
    stream.write_all(&all.collect::<Vec<u8>>()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("C53400"), "{answer}");
    assert!(
        answer.contains("a connection keeps at most 1000 prepared statements"),
        "{answer}"
    );
    assert!(answer.contains("still here"), "{answer}");
}

#[test]
fn a_reader_that_is_slow_gets_every_row() {
    let night = night();
    let server = Serving::start(&night, []);
    let mut child = Command::new("psql")
        .args(["-XAtc", "COPY (SELECT n, repeat('x', 100) FROM unnest(generate_series(1, 200000)) AS s(n)) TO STDOUT", "-d", &server.address()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("psql is there");
    let mut stdout = child.stdout.take().unwrap();
    thread::sleep(Duration::from_secs(1));
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(text.lines().count(), 200_000);
    let in_order = text
        .lines()
        .zip(1..)
        .all(|(line, n)| line.starts_with(&format!("{n}\t")));
    assert!(in_order);
}

#[test]
fn it_ends_when_running_statements_have() {
    let night = night();
    let server = Serving::start(&night, ["--grace", "2s"]);
    let mut idle = Command::new("psql")
        .args(["-X", "-d", &server.address()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let address = server.address();
    let asking = thread::spawn(move || {
        Asked::of(Command::new("psql").args(["-X", "-c", ENDLESS, "-d", &address]))
    });
    thread::sleep(Duration::from_secs(1));
    server
        .stop()
        .assert_success()
        .stderr_contains("stopped by SIGTERM");
    let said = asking.join().unwrap().stderr;
    assert!(
        said.contains("terminating connection due to administrator command"),
        "{said}"
    );
    drop(idle.stdin.take());
    idle.wait().unwrap();
}
