//! The configuration of a profile's Redis.

use crate::profile::{Profile, RedisSettings};
use crate::size;
use crate::write::WrittenFile;

/// `redis/<profile>.conf`; `None`: the profile has no Redis.
pub fn file(profile: &Profile) -> Option<WrittenFile> {
    let settings = profile.services.iter().find_map(|it| it.redis.as_ref())?;
    Some(WrittenFile {
        path: path(profile),
        text: text(&profile.name, settings),
    })
}

/// Where [`file`] is, below the directory of all.
pub(super) fn path(profile: &Profile) -> String {
    format!("redis/{}.conf", profile.name)
}

fn text(profile: &str, settings: &RedisSettings) -> String {
    let mut text = format!(
        "# Written by `plimsoll redis` from the profile {profile}: change that. To Redis 1mb is 1024 kb, and 1m would be 1000 k.\n\
         maxmemory {}\n\
         maxmemory-policy {}\n",
        size::redis(settings.maxmemory_bytes),
        settings.maxmemory_policy
    );
    for (seconds, changes) in &settings.save {
        text += &format!("save {seconds} {changes}\n");
    }
    if settings.save.is_empty() {
        // Without the line Redis takes its own defaults.
        text += "save \"\"\n";
    }
    let appendonly = if settings.appendonly { "yes" } else { "no" };
    text + &format!("appendonly {appendonly}\n")
}
