//! The loop: looks, draws, and listens to keys and signals.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::engine::{Actuator, EngineError};
use crate::failure::Failure;
use crate::scale::{Change, Scraper, last_changes};
use crate::top::fleet::{Fleet, Resize};
use crate::top::gather::gather;
use crate::top::plain;
use crate::top::screen::{Screen, View};

/// How long the thread that reads keys may overlook that all is over.
const LOOK_UP: Duration = Duration::from_millis(200);

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    End,
    /// Down by so many rows.
    Scroll(isize),
    /// The terminal has another size.
    Redraw,
}

fn wish(event: &Event) -> Option<Wish> {
    let Event::Key(KeyEvent {
        code,
        modifiers,
        kind: KeyEventKind::Press | KeyEventKind::Repeat,
        ..
    }) = event
    else {
        return matches!(event, Event::Resize(..)).then_some(Wish::Redraw);
    };
    match code {
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Wish::End),
        KeyCode::Char('c' | 'd') if modifiers.contains(KeyModifiers::CONTROL) => Some(Wish::End),
        KeyCode::Down | KeyCode::Char('j') => Some(Wish::Scroll(1)),
        KeyCode::Up | KeyCode::Char('k') => Some(Wish::Scroll(-1)),
        KeyCode::PageDown | KeyCode::Char(' ') => Some(Wish::Scroll(10)),
        KeyCode::PageUp => Some(Wish::Scroll(-10)),
        _ => None,
    }
}

/// One look, as plain text. `state`: the scaler's file, if there is one.
///
/// # Errors
///
/// The engine does not answer.
pub async fn once(engine: &impl Actuator, state: &Path) -> Result<String, Failure> {
    let mut fleet = Fleet::default();
    let scraper = Scraper::new();
    let samples = gather(engine, &scraper).await?;
    let now_s = now_s();
    fleet.observe(Duration::ZERO, now_s, samples);
    Ok(plain::text(&fleet.rows(&written(state)), now_s))
}

/// Looks every `interval` and draws, until a key or a signal ends it.
///
/// # Errors
///
/// The engine does not answer at the first look, or the terminal does not do as it should.
pub async fn live(
    engine: &impl Actuator,
    state: &Path,
    interval: Duration,
    has_colors: bool,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let message = format!("the terminal can't be used: {error}; try --once");
        Failure::new(Failure::UNAVAILABLE, message)
    };
    // Before the screen is another one: a signal in between would leave it so.
    let mut signals = Signals::listen().map_err(failed)?;
    let mut view = View {
        has_colors,
        ..View::default()
    };
    let mut fleet = Fleet::default();
    let scraper = Scraper::new();
    let begun = Instant::now();
    // What is wrong at the first look is said where the shell is.
    let mut samples: Result<_, EngineError> = Ok(gather(engine, &scraper).await?);
    let mut screen = Screen::open().map_err(failed)?;
    let mut keys = Keys::read();
    loop {
        match samples {
            Ok(samples) => {
                fleet.observe(begun.elapsed(), now_s(), samples);
                view.trouble = None;
            }
            Err(error) => view.trouble = Some(error.to_string()),
        }
        view.now_s = now_s();
        view.rows = fleet.rows(&written(state));
        let next = async {
            tokio::time::sleep(interval).await;
            gather(engine, &scraper).await
        };
        let mut next = std::pin::pin!(next);
        samples = loop {
            view.skipped = view.skipped.min(view.rows.len().saturating_sub(1));
            screen.draw(&view).map_err(failed)?;
            let wish = tokio::select! {
                samples = &mut next => break samples,
                wish = keys.wishes.recv() => wish.unwrap_or(Wish::End),
                () = signals.any() => Wish::End,
            };
            match wish {
                Wish::End => return Ok(()),
                Wish::Scroll(rows) => view.skipped = view.skipped.saturating_add_signed(rows),
                Wish::Redraw => {}
            }
        };
    }
}

/// What the scaler did last.
fn written(state: &Path) -> BTreeMap<String, Resize> {
    let changes = last_changes(state).into_iter();
    let resize = |(service, change): (String, Change)| {
        let resize = Resize {
            at_s: change.at_s,
            from_bytes: Some(change.from_bytes),
            to_bytes: Some(change.to_bytes),
        };
        (service, resize)
    };
    changes.map(resize).collect()
}

fn now_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

/// Those that ask a program to end. In raw mode Ctrl-C is a key.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals([
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn any(&mut self) {
        let [terminate, interrupt, hangup] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// A thread that waits for keys, and ends when this is dropped.
struct Keys {
    wishes: mpsc::UnboundedReceiver<Wish>,
    is_over: Arc<AtomicBool>,
}

impl Keys {
    fn read() -> Keys {
        let (send, wishes) = mpsc::unbounded_channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let is_over_there = is_over.clone();
        // A terminal that is gone drops the sender, and that ends the loop.
        std::thread::spawn(move || {
            while !is_over_there.load(Ordering::Relaxed) {
                match event::poll(LOOK_UP) {
                    Ok(false) => continue,
                    Ok(true) => {}
                    Err(_) => break,
                }
                let Ok(event) = event::read() else { break };
                if let Some(wish) = wish(&event)
                    && send.send(wish).is_err()
                {
                    break;
                }
            }
        });
        Keys { wishes, is_over }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_meaning() {
        let press = |code, modifiers| Event::Key(KeyEvent::new(code, modifiers));
        let plain = |code| press(code, KeyModifiers::NONE);
        let control = |letter| press(KeyCode::Char(letter), KeyModifiers::CONTROL);
        let mut released = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        released.kind = KeyEventKind::Release;
        let table = [
            (plain(KeyCode::Char('q')), Some(Wish::End)),
            (plain(KeyCode::Esc), Some(Wish::End)),
            (control('c'), Some(Wish::End)),
            (plain(KeyCode::Char('c')), None),
            (control('x'), None),
            (plain(KeyCode::Down), Some(Wish::Scroll(1))),
            (plain(KeyCode::PageUp), Some(Wish::Scroll(-10))),
            (Event::Resize(3, 4), Some(Wish::Redraw)),
            (Event::FocusLost, None),
            (Event::Key(released), None),
        ];
        for (event, expected) in table {
            assert_eq!(wish(&event), expected, "{event:?}");
        }
    }
}
