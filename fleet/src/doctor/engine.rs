//! What went wrong with the engine, and what would help.

use crate::doctor::finding::Unreadable;
use crate::engine::EngineError;

/// Its own words say where; this says what to do.
pub fn unreadable(error: &EngineError, remote: Option<&str>) -> Unreadable {
    let todo = match (error, remote) {
        (_, Some(_)) => {
            "start it on its own machine, and open its address for this one\ndocker info"
        }
        (EngineError::NoPermission(_), None) => {
            "sudo plimsoll doctor\nsudo usermod -aG docker \"$USER\""
        }
        (_, None) => "sudo systemctl start docker\ndocker info",
    };
    Unreadable::new(error.to_string(), todo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_permission_the_advice_is_another_one() {
        let forbidden = unreadable(&EngineError::NoPermission("socket".to_owned()), None);
        assert!(forbidden.todo.contains("usermod"), "{forbidden:?}");
        let away = unreadable(&EngineError::Away("socket".to_owned()), None);
        assert!(away.todo.contains("start docker"), "{away:?}");
        assert!(away.why.contains("socket"), "{away:?}");
        let remote = unreadable(&EngineError::Away("h".to_owned()), Some("tcp://h:1"));
        assert!(!remote.todo.contains("systemctl"), "{remote:?}");
    }
}
