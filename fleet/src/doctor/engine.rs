//! What went wrong with the engine, and what would help.

use crate::doctor::finding::Unreadable;
use crate::engine::EngineError;

/// Its own words say where; this says what to do.
pub fn unreadable(error: &EngineError) -> Unreadable {
    let todo = match error {
        EngineError::NoPermission(_) => "sudo plimsoll doctor\nsudo usermod -aG docker \"$USER\"",
        EngineError::Away(_) | EngineError::Gone(_) | EngineError::Refused(_) => {
            "sudo systemctl start docker\ndocker info"
        }
    };
    Unreadable::new(error.to_string(), todo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_permission_the_advice_is_another_one() {
        let forbidden = unreadable(&EngineError::NoPermission("socket".to_owned()));
        assert!(forbidden.todo.contains("usermod"), "{forbidden:?}");
        let away = unreadable(&EngineError::Away("socket".to_owned()));
        assert!(away.todo.contains("start docker"), "{away:?}");
        assert!(away.why.contains("socket"), "{away:?}");
    }
}
