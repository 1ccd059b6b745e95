//! [`Args`]: what can be said on the command line.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

pub const HELP: &str = "\
A crypto-market event service that knows its memory.

Usage: service [--port P] [--address A] [--seconds N] [--no-traffic]
       service --healthy [--port P]

  --port P      listen on that port; 0 takes any free one [8077]
  --address A   listen on that address, 0.0.0.0 for all (in a container) [127.0.0.1]
  --seconds N   end after N seconds [at Ctrl-C or SIGTERM]
  --no-traffic  wait for a client instead of sending events to itself
  --healthy     ask the service at that port of this machine whether it is up, and end: 0 it is, 69 it is not
  --help        print this

  POST /events   one JSON event, or an array of them:
                 {\"id\": \"1\", \"exchange\": \"binance\", \"symbol\": \"BTC-USDT\", \"price\": 1.5, \"size\": 2.0, \"ts_ms\": 1}
  GET  /memory   the live page; with SERVICE_CLEANUP_TOKEN set it has a button for a cleanup
  GET  /metrics  the same for Prometheus
  GET  /usage    memory and counters
  POST /cleanup  gives memory back, and reports what that returned
  GET  /healthz  whether it is up

Exit: 0 ended as asked, 64 unknown argument, 69 port not available, 74 can't write, 78 bad PLIMSOLL_* variable
";

const ACCEPTED: &str =
    "accepted are --port P, --address A, --seconds N, --no-traffic, --healthy and --help";

pub struct Args {
    pub address: IpAddr,
    pub port: u16,
    pub seconds: Option<u64>,
    pub traffic: bool,
    /// Ask another instead of being one.
    pub healthy: bool,
}

impl Args {
    /// `None` when help was asked for; the error is a line for people.
    pub fn parse(words: impl Iterator<Item = OsString>) -> Result<Option<Args>, String> {
        let mut args = Args {
            address: Ipv4Addr::LOCALHOST.into(),
            port: 8077,
            seconds: None,
            traffic: true,
            healthy: false,
        };
        let mut words = words.map(|word| word.to_string_lossy().into_owned());
        while let Some(word) = words.next() {
            match word.as_str() {
                "--port" => args.port = number("--port", words.next(), u16::MAX)?,
                "--seconds" => {
                    args.seconds = Some(number("--seconds", words.next(), u32::MAX)?.into());
                }
                "--address" => args.address = address(words.next())?,
                "--healthy" => args.healthy = true,
                "--no-traffic" => args.traffic = false,
                "--help" | "-h" => return Ok(None),
                other => return Err(format!("unknown argument {other:?}; {ACCEPTED}")),
            }
        }
        Ok(Some(args))
    }
}

fn address(word: Option<String>) -> Result<IpAddr, String> {
    let word = word.ok_or("--address needs an address, as 0.0.0.0")?;
    word.parse()
        .map_err(|_| format!("--address takes an address as 0.0.0.0, not {word:?}"))
}

fn number<N: FromStr + std::fmt::Display>(
    flag: &str,
    word: Option<String>,
    max: N,
) -> Result<N, String> {
    let word = word.ok_or_else(|| format!("{flag} needs a whole number from 0 to {max}"))?;
    word.parse()
        .map_err(|_| format!("{flag} takes a whole number from 0 to {max}, not {word:?}"))
}
