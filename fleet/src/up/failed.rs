//! What an engine's refusal is to the command.

use crate::engine::EngineError;
use crate::failure::Failure;

/// The same words, and the code that scripts tell it by.
pub fn failure(error: &EngineError) -> Failure {
    let code = match error {
        EngineError::Away(_) => Failure::UNAVAILABLE,
        EngineError::Gone(_) => Failure::NO_HOST,
        EngineError::Refused(_) => Failure::REFUSED,
        EngineError::NoPermission(_) => Failure::NO_PERMISSION,
    };
    Failure::new(code, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_code() {
        let table = [
            (EngineError::Away("x".into()), 69),
            (EngineError::Gone("x".into()), 68),
            (EngineError::Refused("x".into()), 70),
            (EngineError::NoPermission("x".into()), 77),
        ];
        for (error, code) in table {
            let failure = failure(&error);
            assert_eq!((failure.code, failure.message), (code, error.to_string()));
        }
    }
}
