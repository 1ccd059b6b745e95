//! [`Event`]: one thing that happened on a market, and [`Batch`]: what a request brings.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// What an `Arc` keeps before its text.
const ARC_COUNTS_BYTES: usize = 2 * size_of::<usize>();

#[derive(serde::Deserialize, serde::Serialize)]
pub struct Event {
    pub id: Arc<str>,
    pub exchange: Box<str>,
    pub symbol: Box<str>,
    pub price: f64,
    pub size: f64,
    pub ts_ms: u64,
}

impl Event {
    /// About what its texts take on the heap. Its place in a table does not count: the next event takes that.
    pub fn heap_bytes(&self) -> u64 {
        let allocation = |bytes: usize| bytes.next_multiple_of(8) as u64;
        allocation(ARC_COUNTS_BYTES + self.id.len())
            + allocation(self.exchange.len())
            + allocation(self.symbol.len())
    }
}

/// One event or an array of them, in JSON. (serde's `untagged` would hold everything twice and hide why it failed.)
pub struct Batch<T>(pub Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Batch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany(PhantomData))
    }
}

struct OneOrMany<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
    type Value = Batch<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event or an array of events")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let event = T::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Batch(vec![event]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut events = Vec::new();
        while let Some(event) = seq.next_element()? {
            events.push(event);
            // A batch over its limit stops here, not when all of it is in memory.
            plimsoll::checkpoint().map_err(A::Error::custom)?;
        }
        Ok(Batch(events))
    }
}
