//! Bytes as each reader of configuration wants them. "512m" is MiB to docker, 10^6 bytes to Redis and milli to Kubernetes.

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// For docker and compose: `512m` is 512 MiB.
pub fn docker(bytes: u64) -> String {
    exact(bytes, ["g", "m", "k", "b"])
}

/// For `redis.conf`: `512mb` is 512 MiB (`512m` would be 512,000,000 bytes).
pub fn redis(bytes: u64) -> String {
    exact(bytes, ["gb", "mb", "kb", ""])
}

/// For Kubernetes: `512Mi`.
pub fn kubernetes(bytes: u64) -> String {
    exact(bytes, ["Gi", "Mi", "Ki", ""])
}

/// In the largest unit that leaves no fraction.
fn exact(bytes: u64, [giga, mega, kilo, one]: [&str; 4]) -> String {
    let units = [(GIB, giga), (MIB, mega), (KIB, kilo)];
    let whole = units
        .into_iter()
        .find(|(unit, _)| *unit <= bytes && bytes.is_multiple_of(*unit));
    let (unit, suffix) = whole.unwrap_or((1, one));
    format!("{}{suffix}", bytes / unit)
}

/// For people, at most two digits after the point: `8.75 GiB`, `512 MiB`.
pub fn human(bytes: u64) -> String {
    let units = [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")];
    let Some((unit, suffix)) = units.into_iter().find(|(unit, _)| bytes >= *unit) else {
        return format!("{bytes} B");
    };
    let number = format!("{:.2}", bytes as f64 / unit as f64);
    let number = number.trim_end_matches('0').trim_end_matches('.');
    format!("{number} {suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_says_the_same() {
        let table = [
            (512 * MIB, "512m", "512mb", "512Mi", "512 MiB"),
            (2 * GIB, "2g", "2gb", "2Gi", "2 GiB"),
            (1536 * MIB, "1536m", "1536mb", "1536Mi", "1.5 GiB"),
            (8960 * MIB, "8960m", "8960mb", "8960Mi", "8.75 GiB"),
            (KIB, "1k", "1kb", "1Ki", "1 KiB"),
            (1023, "1023b", "1023", "1023", "1023 B"),
            (0, "0b", "0", "0", "0 B"),
        ];
        for (bytes, to_docker, to_redis, to_kubernetes, to_people) in table {
            assert_eq!(docker(bytes), to_docker);
            assert_eq!(redis(bytes), to_redis);
            assert_eq!(kubernetes(bytes), to_kubernetes);
            assert_eq!(human(bytes), to_people);
        }
    }
}
