//! `plimsoll profile`.

use std::fmt::Write;

use crate::cli::output::print;
use crate::failure::Failure;
use crate::profile::{Profile, Reading, SHIPPED, Severity, Source, read};
use crate::size::human;
use crate::table::{Align, Table};

/// Checks or shows a profile.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Says all that is wrong or doubtful in profiles, each with its file, line and column.
    Check {
        /// Files, or production, development [default: both of these]
        #[arg(value_name = "FILE|NAME")]
        profiles: Vec<String>,
    },
    /// Prints a profile's table.
    Show {
        /// A file, or production, development
        #[arg(value_name = "FILE|NAME", default_value = "production")]
        profile: String,
    },
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.verb {
        Verb::Check { profiles } => check(profiles),
        Verb::Show { profile } => show(&profile),
    }
}

fn check(mut profiles: Vec<String>) -> Result<(), Failure> {
    if profiles.is_empty() {
        profiles = SHIPPED.map(|(name, ..)| name.to_owned()).into();
    }
    let sources: Vec<_> = profiles
        .iter()
        .map(|profile| Source::open(profile))
        .collect();
    let (mut said, mut errors, mut files) = (String::new(), 0, 0);
    let mut missing = None;
    for source in sources {
        match source {
            Ok(source) => {
                let reading = read(&source);
                let here = reading.count(Severity::Error);
                errors += here;
                files += usize::from(here > 0);
                report(&reading, &mut said);
            }
            // The others are checked all the same.
            Err(failure) => {
                said += &format!("{failure}\n");
                missing = missing.or(Some(failure));
            }
        }
    }
    print(&said)?;
    match missing {
        _ if errors > 0 => Err(Failure::new(
            Failure::DATA,
            format!(
                "{} in {}",
                counted(errors, "error"),
                counted(files, "profile")
            ),
        )),
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn report(reading: &Reading, said: &mut String) {
    for problem in &reading.problems {
        let _ = writeln!(said, "{}:{problem}", reading.origin);
    }
    let [errors, warnings] = [Severity::Error, Severity::Warning].map(|it| reading.count(it));
    let warnings = counted(warnings, "warning");
    let _ = match &reading.profile {
        Some(profile) => writeln!(
            said,
            "{}: {}; {warnings}",
            reading.origin,
            sums(profile, reading)
        ),
        None => writeln!(
            said,
            "{}: {}, {warnings}",
            reading.origin,
            counted(errors, "error")
        ),
    };
}

fn sums(profile: &Profile, reading: &Reading) -> String {
    let guide = match &reading.guide_total {
        Some(total) => format!(" (the guide rounds to {total})"),
        None => String::new(),
    };
    format!(
        "{}, limits {}{guide}, reservations {}, host {} with {} to give",
        counted(profile.services.len(), "service"),
        human(profile.limits_bytes()),
        human(profile.reservations_bytes()),
        human(profile.host_bytes),
        human(profile.budget_bytes),
    )
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn show(name: &str) -> Result<(), Failure> {
    let reading = read(&Source::open(name)?);
    let Some(profile) = &reading.profile else {
        let mut said = String::new();
        report(&reading, &mut said);
        return Err(Failure::new(Failure::DATA, said.trim_end()));
    };
    print(&table(profile, &reading))
}

fn table(profile: &Profile, reading: &Reading) -> String {
    let mut table = Table::new([
        ("service", Align::Left),
        ("limit", Align::Right),
        ("reservation", Align::Right),
        ("cpu", Align::Right),
        ("scaled between", Align::Left),
        ("image", Align::Left),
    ]);
    for service in &profile.services {
        let scaled = match &service.policy {
            Some(policy) => format!(
                "{} and {}",
                human(policy.min_bytes),
                human(policy.max_bytes)
            ),
            None => "-".to_owned(),
        };
        table.row([
            service.name.clone(),
            human(service.limit_bytes),
            human(service.reservation_bytes),
            processors(service.cpu_milli),
            scaled,
            service.image.clone(),
        ]);
    }
    let cpu_milli = profile
        .services
        .iter()
        .map(|service| service.cpu_milli)
        .sum();
    table.row([
        "total".to_owned(),
        human(profile.limits_bytes()),
        human(profile.reservations_bytes()),
        processors(cpu_milli),
        String::new(),
        String::new(),
    ]);
    format!("{table}\n{}: {}\n", profile.name, sums(profile, reading))
}

/// At least one digit after the point, as in the guide.
fn processors(milli: u32) -> String {
    let number = format!("{}.{:03}", milli / 1000, milli % 1000);
    let kept = number.trim_end_matches('0');
    match kept.strip_suffix('.') {
        Some(whole) => format!("{whole}.0"),
        None => kept.to_owned(),
    }
}
