//! Paths as text, for serde: `with` of a field. Its own would refuse bytes that are
//! not UTF-8.

/// One path.
pub mod one {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::os_text::{from_os, to_path};

    /// Writes it.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        from_os(path.as_os_str()).serialize(serializer)
    }

    /// Reads it.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        String::deserialize(deserializer).map(|text| to_path(&text))
    }
}

/// A path, or none.
pub mod optional {
    use std::path::PathBuf;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::os_text::{from_os, to_path};

    /// Writes it.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        path: &Option<PathBuf>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        path.as_ref().map(|path| from_os(path.as_os_str())).serialize(serializer)
    }

    /// Reads it.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        Ok(text.map(|text| to_path(&text)))
    }
}

/// Paths by something.
pub mod by_key {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::os_text::{from_os, to_path};

    /// Writes them.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<K: Serialize + Ord, S: Serializer>(
        paths: &BTreeMap<K, PathBuf>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(paths.iter().map(|(key, path)| (key, from_os(path.as_os_str()))))
    }

    /// Reads them.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, K: Deserialize<'de> + Ord, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<K, PathBuf>, D::Error> {
        let texts: BTreeMap<K, String> = BTreeMap::deserialize(deserializer)?;
        Ok(texts.into_iter().map(|(key, text)| (key, to_path(&text))).collect())
    }
}
