//! What this build and this machine are, for `wherry version` and `wherry doctor`.

/// The version of Wherry.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of the engine underneath; the workspace pins it.
pub const WASMTIME: &str = "48.0.8";

/// Processor and system that this build is for, such as `x86_64-linux`.
#[must_use]
pub fn target() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// What this processor has that compiled code makes use of; empty where that cannot be told.
#[must_use]
pub fn features() -> Vec<&'static str> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        let features = [
            ("sse4.1", has!("sse4.1")),
            ("sse4.2", has!("sse4.2")),
            ("popcnt", has!("popcnt")),
            ("lzcnt", has!("lzcnt")),
            ("bmi1", has!("bmi1")),
            ("bmi2", has!("bmi2")),
            ("fma", has!("fma")),
            ("avx", has!("avx")),
            ("avx2", has!("avx2")),
            ("avx512bitalg", has!("avx512bitalg")),
            ("avx512dq", has!("avx512dq")),
            ("avx512f", has!("avx512f")),
            ("avx512vbmi", has!("avx512vbmi")),
            ("avx512vl", has!("avx512vl")),
        ];
        found.extend(features.iter().filter(|(_, has)| *has).map(|(name, _)| *name));
    }
    #[cfg(target_arch = "aarch64")]
    {
        use std::arch::is_aarch64_feature_detected as has;
        let features = [
            ("lse", has!("lse")),
            ("paca", has!("paca")),
            ("pacg", has!("pacg")),
            ("fp16", has!("fp16")),
        ];
        found.extend(features.iter().filter(|(_, has)| *has).map(|(name, _)| *name));
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_engine_s_version_is_the_pinned_one() {
        let workspace = include_str!("../../../Cargo.toml");
        assert!(workspace.contains(&format!("wasmtime = {{ version = \"={}\"", super::WASMTIME)));
    }
}
