//! [`run`]: rounds at their times, events at once, until it is told to stop.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::engine::{Actuator, EngineError, now_ns};
use crate::failure::Failure;
use crate::profile::Profile;
use crate::scale::endpoint::serve;
use crate::scale::gather::{Ports, gather};
use crate::scale::pace::{FIRST_PAUSE, Pace};
use crate::scale::scaler::{Message, Scaler};
use crate::scale::settings::Settings;
use crate::scale::state::{Claim, Found, State, claim};
use crate::scale::voice::Voice;

/// Messages that may wait; who has more to send waits.
const WAITING: usize = 64;
/// Events older than this are not asked for.
const MOST_MISSED_NS: u64 = 86_400 * 1_000_000_000;
/// Longer than anything runs.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Watches and resizes the profile's services until `stop` ends.
///
/// # Errors
///
/// The engine does not answer at the start; the file of the state, or the address for metrics, can't be used. What happens later is said
/// and survived; a single round ends with the worst of it, or with 1 where there is an alert.
pub async fn run<A: Actuator + 'static>(
    engine: A,
    profile: &Profile,
    settings: Settings,
    mut voice: Voice,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let engine = Arc::new(engine);
    engine.containers().await?;
    let host_bytes = engine.host_bytes().await?;
    let _claim = claimed(&settings)?;
    let mut state = load(&settings, &mut voice)?;
    state.last_event_ns = listen_from(state.last_event_ns, now_ns());
    engine.listen_from(state.last_event_ns);
    let (send, mut messages) = mpsc::channel(WAITING);
    let mut scaler = Scaler::new(
        Arc::clone(&engine),
        profile,
        settings.clone(),
        state,
        voice,
        send.clone(),
    );
    if let Some(host_bytes) = host_bytes {
        scaler.limit_to_host(profile, host_bytes);
    }
    if let Some(address) = settings.metrics {
        let bound = serve(address, scaler.figures.clone()).await?;
        scaler
            .voice
            .note(&format!("metrics: http://{bound}/metrics"));
    }
    // A channel of its own: a kill does not queue behind readings.
    let (ring, mut rung) = mpsc::channel(WAITING);
    let watching = tokio::spawn(watch(Arc::clone(&engine), ring));
    let ports = ports(profile, settings.is_local);
    let mut stop = std::pin::pin!(stop);
    // After a single round another comes only for who waits for room, not by time.
    let interval = if settings.once {
        NEVER
    } else {
        settings.interval
    };
    let mut pace = Pace::new(interval, engine.slowest_reading());
    let mut ended = Ok(());
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(message) = rung.recv() => take(&mut scaler, &mut pace, message).await,
            // One at a time: who was killed does not wait for all others.
            () = std::future::ready(()), if !scaler.planned.is_empty() => {
                scaler.carry_out_next().await;
            }
            Some(message) = messages.recv() => match message {
                Message::Gathered(_, Err(failure)) if settings.once => return Err(failure),
                message => take(&mut scaler, &mut pace, message).await,
            },
            () = tokio::time::sleep_until(pace.next), if !pace.is_under_way => {
                pace.begin();
                let round = gather(Arc::clone(&engine), scaler.scraper.clone(), Arc::clone(&ports));
                let (send, began) = (send.clone(), Instant::now());
                // In a task of its own: one that panics must not leave the loop waiting for it.
                let round = tokio::spawn(round);
                tokio::spawn(async move {
                    let round = match round.await {
                        Ok(read) => read.map_err(Failure::from),
                        Err(mistake) => Err(Failure::new(
                            Failure::REFUSED,
                            format!("a round ended by a mistake of this program: {mistake}"),
                        )),
                    };
                    send.send(Message::Gathered(began, round)).await
                });
            }
        }
        if !scaler.planned.is_empty() {
            continue;
        }
        if scaler.is_due() && !pace.is_under_way {
            pace.next = Instant::now();
        }
        save(&mut scaler);
        if !scaler.voice.is_heard() {
            break;
        }
        if settings.once && pace.is_over() && scaler.is_quiet() {
            ended = scaler.outcome();
            break;
        }
    }
    watching.abort();
    scaler.settle_all().await;
    save(&mut scaler);
    ended
}

/// What was not answered yet; for who starts clean, what happens from now on.
fn listen_from(last_event_ns: u64, now_ns: u64) -> u64 {
    match last_event_ns {
        0 => now_ns,
        last_ns => last_ns
            .max(now_ns.saturating_sub(MOST_MISSED_NS))
            .min(now_ns),
    }
}

async fn take<A: Actuator + 'static>(scaler: &mut Scaler<A>, pace: &mut Pace, message: Message) {
    match message {
        Message::Gathered(began, Ok(seen)) => {
            scaler.round(began, seen).await;
            pace.end();
        }
        Message::Gathered(_, Err(error)) => {
            scaler.engine_is_away(&error);
            scaler.figures.all().rounds_failed_total += 1;
            pace.back_off();
        }
        Message::EventsEnded(error @ EngineError::Away(_)) => scaler.engine_is_away(&error),
        Message::EventsEnded(error) => {
            // All else may well be answered.
            let text = format!("kills for memory are not seen: {error}; trying again");
            scaler.voice.note_once("events", &text);
        }
        Message::Happened(event) => {
            let text = "kills for memory are seen again";
            scaler.voice.over("events", text);
            scaler.happened(event).await;
        }
        Message::Cleaned {
            id,
            asked,
            usage,
            read,
        } => scaler.cleaned(&id, asked, usage, read).await,
        Message::Settled { id, usage } => {
            scaler.settled(&id, usage).await;
            scaler.is_changed = true;
        }
    }
}

/// Whoever listens: from the start, and again when the engine is back.
async fn watch<A: Actuator>(engine: Arc<A>, messages: mpsc::Sender<Message>) {
    let (send, mut events) = mpsc::channel(WAITING);
    loop {
        let ended = {
            let mut watching = std::pin::pin!(engine.watch(&send));
            loop {
                tokio::select! {
                    ended = &mut watching => break ended,
                    Some(event) = events.recv() => {
                        if messages.send(Message::Happened(event)).await.is_err() {
                            return;
                        }
                    }
                }
            }
        };
        let Err(error) = ended else {
            return;
        };
        if messages.send(Message::EventsEnded(error)).await.is_err() {
            return;
        }
        tokio::time::sleep(FIRST_PAUSE).await;
    }
}

fn ports(profile: &Profile, is_local: bool) -> Ports {
    let services = profile.services.iter();
    let port = |port: Option<u16>| port.filter(|_| is_local);
    let all: BTreeMap<_, _> = services
        .map(|service| (service.name.clone(), port(service.metrics_port)))
        .collect();
    Arc::new(all)
}

fn claimed(settings: &Settings) -> Result<Option<Claim>, Failure> {
    let Some(path) = settings.state.as_ref().filter(|_| !settings.dry_run) else {
        return Ok(None);
    };
    let claim = claim(path).map_err(|error| cant_keep(path, &error))?;
    if claim.is_none() {
        let text = format!(
            "{}: another scaler runs with that state; end it, or try with --dry-run",
            path.display()
        );
        return Err(Failure::new(Failure::CANT_CREATE, text));
    }
    Ok(claim)
}

fn load(settings: &Settings, voice: &mut Voice) -> Result<State, Failure> {
    let Some(path) = &settings.state else {
        if !settings.dry_run {
            voice.note(
                "what is learned is lost at the end, and another scaler would not be noticed: name a file to keep it in by --state",
            );
        }
        return Ok(State::new());
    };
    let shown = path.display();
    let (state, found) = match State::load(path, !settings.dry_run) {
        Ok(loaded) => loaded,
        Err(error) if settings.dry_run => {
            voice.note(&format!("{shown}: can't be read: {error}; starts clean"));
            return Ok(State::new());
        }
        Err(error) => return Err(cant_keep(path, &error)),
    };
    match found {
        Found::Histories(services) => {
            voice.note(&format!(
                "{shown}: goes on with what is known of {services} services"
            ));
        }
        Found::Nothing => voice.note(&format!("{shown}: not there yet; starts clean")),
        Found::Broken(why, aside) => {
            let left = match aside {
                Some(aside) => format!("moved to {}", aside.display()),
                None => "left as it is by a dry run".to_owned(),
            };
            voice.note(&format!(
                "{shown}: is no state of this scaler ({why}); {left}; starts clean"
            ));
        }
    }
    if !settings.dry_run {
        state.save(path).map_err(|error| cant_keep(path, &error))?;
    }
    Ok(state)
}

fn cant_keep(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Failure::CANT_CREATE,
        format!(
            "{}: the state can't be kept there: {error}; name another file by --state",
            path.display()
        ),
    )
}

/// If there is something new.
fn save<A: Actuator + 'static>(scaler: &mut Scaler<A>) {
    if !std::mem::take(&mut scaler.is_changed) {
        return;
    }
    let path = match &scaler.settings.state {
        Some(path) if !scaler.settings.dry_run => path.clone(),
        _ => return,
    };
    match scaler.kept().save(&path) {
        Ok(()) => scaler.voice.over("state", "the state is kept again"),
        Err(error) => {
            let text = format!("{}: the state can't be kept: {error}", path.display());
            scaler.voice.note_once("state", &text);
            scaler.failed(Failure::new(Failure::CANT_CREATE, text));
        }
    }
}

#[cfg(test)]
mod tests;
