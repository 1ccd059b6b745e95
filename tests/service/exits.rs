//! How the service ends, and what it says then.

use std::process::Output;

use crate::process::{Service, eventually, run};

/// Asserts one clear line on stderr.
fn assert_fails(done: &Output, code: i32, line: &str) {
    assert_eq!(done.status.code(), Some(code), "{done:?}");
    assert_eq!(
        String::from_utf8_lossy(&done.stderr),
        format!("error: {line}\n")
    );
}

#[test]
fn a_taken_port() {
    let service = Service::start();
    let (_, port) = service.address.split_once(':').unwrap();
    assert_fails(
        &run(&["--port", port], &[]),
        69,
        &format!("127.0.0.1:{port} is taken; choose another with --port"),
    );
}

#[test]
fn whether_it_is_up() {
    let service = Service::start();
    let (_, port) = service.address.split_once(':').unwrap();
    let port = port.to_owned();
    let done = run(&["--healthy", "--port", &port], &[]);
    assert_eq!(
        (done.status.code(), done.stdout, done.stderr),
        (Some(0), vec![], vec![])
    );
    drop(service);
    assert_fails(
        &run(&["--healthy", "--port", &port], &[]),
        69,
        &format!("127.0.0.1:{port} does not answer: Connection refused (os error 111)"),
    );
    // Somebody is there, and is not the service.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let answers = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = other.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        stream
            .write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
            .unwrap();
    });
    assert_fails(
        &run(&["--healthy", "--port", &port], &[]),
        69,
        &format!("127.0.0.1:{port}/healthz answers HTTP/1.1 503 Service Unavailable"),
    );
    answers.join().unwrap();
}

#[test]
fn a_bad_argument() {
    let table: [(&[&str], &str); 6] = [
        (
            &["--prot", "1"],
            "unknown argument \"--prot\"; accepted are --port P, --address A, --seconds N, --no-traffic, --healthy and --help",
        ),
        (&["--port"], "--port needs a whole number from 0 to 65535"),
        (
            &["--port", "70000"],
            "--port takes a whole number from 0 to 65535, not \"70000\"",
        ),
        (
            &["--seconds", "-1"],
            "--seconds takes a whole number from 0 to 4294967295, not \"-1\"",
        ),
        (&["--address"], "--address needs an address, as 0.0.0.0"),
        (
            &["--address", "here"],
            "--address takes an address as 0.0.0.0, not \"here\"",
        ),
    ];
    for (arguments, line) in table {
        assert_fails(&run(arguments, &[]), 64, line);
    }
}

#[test]
fn a_bad_environment() {
    let done = run(&["--port", "0"], &[("PLIMSOLL_MEMORY_LIMIT", "lots")]);
    assert_fails(
        &done,
        78,
        "PLIMSOLL_MEMORY_LIMIT=\"lots\" is not a size such as 512MiB, 1.5g or 100000 (k, m, g, t are powers of 1024)",
    );
}

#[test]
fn an_empty_token_is_none_and_a_weak_one_is_refused() {
    let arguments = ["--port", "0", "--seconds", "1", "--no-traffic"];
    for (token, code) in [("", 0), ("short", 78)] {
        let done = run(&arguments, &[("SERVICE_CLEANUP_TOKEN", token)]);
        assert_eq!(done.status.code(), Some(code), "{done:?}");
    }
}

#[test]
fn help() {
    let done = run(&["--help"], &[]);
    assert_eq!(done.status.code(), Some(0));
    let text = String::from_utf8(done.stdout).unwrap();
    for word in [
        "--port",
        "--seconds",
        "--no-traffic",
        "/events",
        "/usage",
        "/cleanup",
        "/healthz",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn its_time_is_up() {
    let done = run(&["--port", "0", "--seconds", "1", "--no-traffic"], &[]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.contains("0 accepted = 0 held + 0 evicted"), "{text}");
}

#[test]
fn alone_it_drives_itself_until_sigterm() {
    let service = Service::start_with_traffic();
    eventually("a cleanup is shown", || {
        service
            .stdout()
            .contains("event cache: completed")
            .then_some(())
    });
    let ended = service.terminate();
    let text = ended.stdout;
    assert_eq!(ended.code, Some(0), "{text}");
    assert!(text.starts_with("listening on 127.0.0.1:"), "{text}");
    assert!(text.contains("forced cleanup: cleaned, RSS "), "{text}");
    let mut live = text.lines().filter(|line| line.contains(" events/s "));
    assert!(
        live.clone().count() > 0 && live.all(|line| line.len() <= 100),
        "{text}"
    );

    let [received, accepted, duplicates, rejected] = numbers(&text, " received = ");
    assert_eq!(received, accepted + duplicates + rejected);
    assert!(accepted > 0 && duplicates > 0, "{text}");
    let [sum, held, evicted] = numbers(&text, " accepted = ");
    assert_eq!((sum, sum), (accepted, held + evicted));
    assert!(evicted > 0, "{text}");
}

/// The numbers of the line that has `part` in it.
fn numbers<const N: usize>(text: &str, part: &str) -> [u64; N] {
    let line = text.lines().find(|line| line.contains(part)).unwrap();
    let numbers: Vec<u64> = line
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    numbers.try_into().unwrap_or_else(|_| panic!("{line}"))
}
