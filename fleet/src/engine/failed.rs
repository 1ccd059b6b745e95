//! What an engine's refusal is to the command.

use crate::engine::EngineError;
use crate::failure::Failure;

/// The same words, and the code that scripts tell it by.
impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Failure {
        let code = match error {
            EngineError::Away(_) => Failure::UNAVAILABLE,
            EngineError::Gone(_) => Failure::NO_HOST,
            EngineError::Refused(_) | EngineError::Overtaken(_) => Failure::REFUSED,
            EngineError::NoPermission(_) => Failure::NO_PERMISSION,
        };
        Failure::new(code, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_code() {
        type Kind = fn(String) -> EngineError;
        let table: [(Kind, u8); 4] = [
            (EngineError::Away, 69),
            (EngineError::Gone, 68),
            (EngineError::Refused, 70),
            (EngineError::NoPermission, 77),
        ];
        for (kind, code) in table {
            let said = kind("x".to_owned()).to_string();
            let failure = Failure::from(kind("x".to_owned()));
            assert_eq!((failure.code, failure.message), (code, said));
        }
    }
}
