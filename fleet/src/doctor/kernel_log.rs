//! OOM kills from the kernel's log.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::OFlags;

use crate::doctor::finding::Unreadable;

/// The kernel's own buffer holds fewer; more than these come only from a log that is written while we read.
const MAX_RECORDS: usize = 200_000;
/// What one record takes at most.
const RECORD_BYTES: usize = 8192;
const DMESG_TIMEOUT: Duration = Duration::from_secs(10);

/// One process that the kernel killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedKill {
    /// Seconds since the boot; `None`: the log has no times.
    pub at_uptime_s: Option<u64>,
    pub pid: u32,
    /// What the process called itself.
    pub process: String,
    /// The cgroup it was in; `None`: the kernel did not say (before 4.19).
    pub cgroup: Option<String>,
    /// The cgroup whose limit was hit; `None`: the host itself was out of memory.
    pub limit_of: Option<String>,
}

/// Kills in `text`, either as `/dev/kmsg` gives it or as `dmesg` prints it.
///
/// Only the kernel's own lines of `/dev/kmsg` count: anybody who may write there could invent a kill.
pub fn parse(text: &str) -> Vec<LoggedKill> {
    let mut kills = Vec::new();
    let mut seen: Option<Occasion> = None;
    for line in text.lines() {
        let Some((at_uptime_s, message)) = message(line) else {
            continue;
        };
        if let Some(fields) = message.strip_prefix("oom-kill:") {
            seen = occasion(fields);
        } else if let Some((pid, process)) = victim(message) {
            let occasion = seen.take().filter(|occasion| occasion.pid == pid);
            let (cgroup, limit_of) = occasion.map_or((None, None), |it| (it.cgroup, it.limit_of));
            kills.push(LoggedKill {
                at_uptime_s,
                pid,
                process: process.to_owned(),
                cgroup,
                limit_of,
            });
        }
    }
    kills
}

/// The time and the text of a line; `None` for what is not the kernel's.
fn message(line: &str) -> Option<(Option<u64>, &str)> {
    // /dev/kmsg: "6,1234,5678901,-;text", and what belongs to it on lines that begin with a space.
    if line.starts_with(' ') {
        return None;
    }
    if let Some((prefix, text)) = line.split_once(';')
        && let Some((priority, at_us)) = kmsg_prefix(prefix)
    {
        let is_kernel = priority >> 3 == 0;
        return is_kernel.then_some((Some(at_us / 1_000_000), text));
    }
    // dmesg: "[   12.345678] text", with "[  T123] " in between on some kernels.
    let Some((time, mut text)) = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
    else {
        return Some((None, line));
    };
    if let Some((caller, rest)) = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        && caller.trim_start().starts_with(['T', 'C'])
    {
        text = rest;
    }
    let seconds = time.trim().split('.').next()?.parse().ok();
    Some((seconds, text))
}

fn kmsg_prefix(prefix: &str) -> Option<(u64, u64)> {
    let mut fields = prefix.split(',');
    let priority = fields.next()?.parse().ok()?;
    let _sequence: u64 = fields.next()?.parse().ok()?;
    let at_us = fields.next()?.parse().ok()?;
    Some((priority, at_us))
}

/// What the kernel says before it says who died.
struct Occasion {
    pid: u32,
    cgroup: Option<String>,
    limit_of: Option<String>,
}

/// "constraint=..,nodemask=..,cpuset=..,mems_allowed=..,oom_memcg=/a,task_memcg=/a/b,task=name,pid=1,uid=0". Names may have commas, so
/// each field ends where the next one's name begins.
fn occasion(fields: &str) -> Option<Occasion> {
    let between = |from: &str, to: &str| {
        let (_, rest) = fields.split_once(from)?;
        rest.split_once(to).map(|(value, _)| value.to_owned())
    };
    let (_, tail) = fields.rsplit_once(",pid=")?;
    Some(Occasion {
        pid: tail.split(',').next()?.parse().ok()?,
        cgroup: between(",task_memcg=", ",task="),
        limit_of: between(",oom_memcg=", ",task_memcg="),
    })
}

/// "Memory cgroup out of memory: Killed process 22187 (overload) total-vm:..", and older spellings of it.
fn victim(message: &str) -> Option<(u32, &str)> {
    let (before, rest) = message.split_once("illed process ")?;
    let before = before.strip_suffix(['K', 'k'])?;
    let is_memory = before.is_empty() || before.to_ascii_lowercase().contains("out of memory");
    let (pid, rest) = rest.split_once(" (")?;
    // A name may have a parenthesis of its own.
    let (name, _) = rest.rsplit_once(')')?;
    is_memory.then_some((pid.parse().ok()?, name))
}

/// Seconds since the boot.
pub fn uptime_s(proc_uptime: &str) -> Option<u64> {
    proc_uptime.split('.').next()?.trim().parse().ok()
}

/// The kernel's log as text, from the device `kmsg` or else by the command `dmesg`.
///
/// # Errors
///
/// Neither may be read.
pub async fn read(kmsg: &Path, dmesg: &Path) -> Result<String, Unreadable> {
    let error = match read_kmsg(kmsg) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let dmesg = tokio::process::Command::new(dmesg)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let why = match tokio::time::timeout(DMESG_TIMEOUT, dmesg).await {
        Ok(Ok(output)) if output.status.success() => {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Ok(Err(error)) => format!("dmesg: {error}"),
        Err(_) => format!("dmesg did not answer within {} s", DMESG_TIMEOUT.as_secs()),
    };
    Err(Unreadable::new(
        format!("{}: {error}; {why}", kmsg.display()),
        "sudo plimsoll doctor, or: sudo dmesg | grep -i oom",
    ))
}

/// A read gives one record, and at the end it would wait for the next.
fn read_kmsg(path: &Path) -> std::io::Result<String> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let mut text = String::new();
    let mut record = vec![0; RECORD_BYTES];
    for _ in 0..MAX_RECORDS {
        match file.read(&mut record) {
            Ok(0) => break,
            Ok(count) => text.push_str(&String::from_utf8_lossy(&record[..count])),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            // Overwritten before it was read: the next read goes on behind the gap.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KMSG: &str = "\
6,900,1000000,-;Out of order: not a kill\n\
4,901,50803048309,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/box,task_memcg=/box/a,b,task=over,load,pid=22187,uid=0\n\
3,902,50803048344,-,caller=T1;Memory cgroup out of memory: Killed process 22187 (over(lo)ad) total-vm:675272kB, anon-rss:130176kB, UID:0\n \
SUBSYSTEM=memory\n\
12,903,50803048400,-;Memory cgroup out of memory: Killed process 1 (forged) total-vm:1kB\n";

    fn kill(at: Option<u64>, pid: u32, process: &str, of: [Option<&str>; 2]) -> LoggedKill {
        let [cgroup, limit_of] = of.map(|path| path.map(str::to_owned));
        LoggedKill {
            at_uptime_s: at,
            pid,
            process: process.to_owned(),
            cgroup,
            limit_of,
        }
    }

    #[test]
    fn a_kill_has_its_cgroup_its_process_and_its_time() {
        let expected = kill(
            Some(50803),
            22187,
            "over(lo)ad",
            [Some("/box/a,b"), Some("/box")],
        );
        assert_eq!(parse(KMSG), [expected]);
    }

    #[test]
    fn every_kernel_spells_it_in_its_own_way() {
        let host = "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/user.slice,task=java,pid=7,uid=1000";
        let table = [
            (
                format!("[   12.345678] {host}\n[   12.345679] Out of memory: Killed process 7 (java) total-vm:1kB"),
                vec![kill(Some(12), 7, "java", [Some("/user.slice"), None])],
            ),
            (
                format!("[   12.3][    T9] {host}\n[   12.4][    T9] Out of memory: Killed process 7 (java) total-vm:1kB"),
                vec![kill(Some(12), 7, "java", [Some("/user.slice"), None])],
            ),
            (
                "[99.1] Memory cgroup out of memory: Kill process 3 (a) score 1 or sacrifice child\n[99.2] Killed process 3 (a) total-vm:1kB".to_owned(),
                vec![kill(Some(99), 3, "a", [None, None])],
            ),
            // Of another process: it is not this one's cgroup.
            (
                format!("{host}\nOut of memory: Killed process 8 (b) total-vm:1kB"),
                vec![kill(None, 8, "b", [None, None])],
            ),
            ("[1.0] oom_reaper: reaped process 3 (a), now anon-rss:0kB".to_owned(), vec![]),
            ("[1.0] audit: systemd killed process 3 (a)".to_owned(), vec![]),
            ("[1.0] Out of memory: Killed process x (a)".to_owned(), vec![]),
            ("[1.0] oom-kill:nonsense\n;\n[\n[] \n,,;x".to_owned(), vec![]),
            (String::new(), vec![]),
        ];
        for (text, kills) in table {
            assert_eq!(parse(&text), kills, "{text}");
        }
    }

    #[test]
    fn what_is_no_log_is_no_kill_and_no_panic() {
        proptest::proptest!(|(text in "(oom-kill:|,pid=|task_memcg=|Killed process |[0-9(\\[\\];,) é\n]){0,20}")| {
            parse(&text);
        });
    }

    #[test]
    fn the_uptime_is_read_in_seconds() {
        for (text, seconds) in [
            ("350735.47 234388.90\n", Some(350_735)),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(uptime_s(text), seconds, "{text:?}");
        }
    }
}
