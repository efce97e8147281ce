//! What a server says of itself.

/// The part of the answer to INFO that matters.
#[derive(Debug)]
pub(super) struct Info {
    /// `redis` or `valkey`.
    name: String,
    version: String,
    redis_version: (u32, u32),
    maxmemory: u64,
    policy: String,
    role: String,
    cluster: String,
}

/// What a server lacks, and what would be right.
#[derive(Debug)]
pub(super) struct Lacks(pub(super) String);

// ===== impl Info =====

impl Info {
    pub(super) fn parse(text: &str) -> Self {
        let field = |name: &str| {
            let mut lines = text.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.unwrap_or_default().trim().to_owned()
        };
        let redis_version = field("redis_version");
        let mut numbers = redis_version.split('.').map(|part| part.parse().ok());
        let mut number = || numbers.next().flatten().unwrap_or(0);
        let (name, version) = match field("valkey_version") {
            none if none.is_empty() => ("Redis".to_owned(), redis_version.clone()),
            version => ("Valkey".to_owned(), version),
        };
        Self {
            name,
            version,
            redis_version: (number(), number()),
            maxmemory: field("maxmemory").parse().unwrap_or(0),
            policy: field("maxmemory_policy"),
            role: field("role"),
            cluster: field("cluster_enabled"),
        }
    }

    /// The program and its version.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// Whether scripts may begin with a line that says how they are to be run.
    pub(super) fn has_script_flags(&self) -> bool {
        self.redis_version >= (7, 0)
    }

    pub(super) fn is_replica(&self) -> bool {
        self.role == "slave" || self.role == "replica"
    }

    /// Whether it has some of the keys alone.
    pub(super) fn is_of_cluster(&self) -> bool {
        self.cluster == "1"
    }

    pub(super) fn lacks(&self) -> Option<Lacks> {
        let old = self.redis_version < (6, 2);
        old.then(|| {
            Lacks(format!(
                "it is {}; Redis 6.2 or newer, or Valkey",
                self.name()
            ))
        })
    }

    /// The policy by which the server may drop keys that have not expired.
    pub(super) fn may_drop(&self) -> Option<&str> {
        (self.maxmemory > 0 && self.policy != "noeviction").then_some(&*self.policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDIS: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\r\n# Memory\r\n\
        maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n# Replication\r\nrole:master\r\n";

    #[test]
    fn a_server_of_today_lacks_nothing() {
        let info = Info::parse(REDIS);
        assert_eq!(info.name(), "Redis 7.0.15");
        assert!(info.has_script_flags() && info.lacks().is_none() && !info.is_replica());
        // Without a bound, nothing is dropped.
        assert_eq!(info.may_drop(), None);
    }

    #[test]
    fn what_a_server_lacks_is_said() {
        let bounded = Info::parse(&REDIS.replace("maxmemory:0", "maxmemory:1000"));
        assert_eq!(bounded.may_drop(), Some("allkeys-lru"));
        let replica = Info::parse(&REDIS.replace("role:master", "role:slave"));
        assert!(replica.is_replica());
        let old = Info::parse(&REDIS.replace("7.0.15", "6.0.16"));
        let Lacks(lacks) = old.lacks().unwrap();
        assert_eq!(lacks, "it is Redis 6.0.16; Redis 6.2 or newer, or Valkey");
        let before_flags = Info::parse(&REDIS.replace("7.0.15", "6.2.14"));
        assert!(before_flags.lacks().is_none() && !before_flags.has_script_flags());
        let valkey = Info::parse(&format!("{REDIS}valkey_version:8.1.8\r\n"));
        assert_eq!(valkey.name(), "Valkey 8.1.8");
    }
}
