//! Where checkpoints lie, as the configuration names it: a folder, or a place in an object store.

use std::path::PathBuf;
use std::time::Duration;

use object_store::ObjectStoreScheme;
use object_store::path::Path as ObjectPath;
use url::Url;

/// A folder, or a place in an object store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// On a disk that this machine sees.
    Folder(PathBuf),
    /// A bucket, and a prefix in it.
    Bucket(BucketUrl),
}

/// The address of a bucket and a prefix in it, such as `s3://bucket/riskgrid`. It holds no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketUrl {
    pub(super) url: Url,
    pub(super) prefix: ObjectPath,
}

/// How a bucket is reached. What is empty comes from the environment, under the names of the AWS tools: `AWS_REGION`,
/// `AWS_ENDPOINT`, `AWS_ALLOW_HTTP`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketSettings {
    /// Region of the bucket.
    pub region: Option<String>,
    /// Address of the store, for others than Amazon's.
    pub endpoint: Option<String>,
    /// Allow an address without TLS.
    pub allow_http: bool,
    /// The bucket is part of the host's name, rather than of the path.
    pub virtual_hosted_style: bool,
    /// Access key.
    pub access_key_id: Option<String>,
    /// A file that holds the secret of the access key, and nothing else.
    pub secret_access_key_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
    /// For how long a request that was not answered is tried again.
    pub retry_for: Duration,
}

impl Default for BucketSettings {
    fn default() -> Self {
        Self {
            region: None,
            endpoint: None,
            allow_http: false,
            virtual_hosted_style: false,
            access_key_id: None,
            secret_access_key_file: None,
            timeout: Duration::from_secs(30),
            retry_for: Duration::from_secs(10),
        }
    }
}

/// Why a text is no place for checkpoints.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLocation {
    /// No address at all.
    #[error("`{text}` is no address: {problem}")]
    NoUrl {
        /// As written.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An address of something else.
    #[error(
        "`{0}://` is no place for checkpoints; use a folder, `file:///folder`, or a bucket as `s3://bucket/prefix`"
    )]
    Scheme(String),
    /// It holds more than a bucket and a prefix. It is not shown: it may be a secret.
    #[error(
        "the address of a bucket holds a user, a password, a query or a fragment; it is `s3://bucket/prefix` alone, credentials come \
         from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or from [storage.object_store]"
    )]
    Overloaded,
}

impl Location {
    /// Reads a folder's path or an address.
    ///
    /// # Errors
    /// An address of something that cannot hold checkpoints.
    pub fn parse(text: &str) -> Result<Self, InvalidLocation> {
        let Some((scheme, after)) = text.split_once("://") else {
            return Ok(Self::Folder(text.into()));
        };
        // Before anything shows it.
        let authority = after.split('/').next().unwrap_or_default();
        if authority.contains('@') || after.contains(['?', '#']) {
            return Err(InvalidLocation::Overloaded);
        }
        let no_url = |problem: String| InvalidLocation::NoUrl {
            text: text.to_owned(),
            problem,
        };
        let url = Url::parse(text).map_err(|error| no_url(error.to_string()))?;
        if scheme == "file" {
            let folder = url.to_file_path();
            return folder
                .map(Self::Folder)
                .map_err(|()| no_url("a folder of this machine is `file:///folder`".to_owned()));
        }
        match ObjectStoreScheme::parse(&url) {
            Ok((ObjectStoreScheme::AmazonS3, prefix)) => Ok(Self::Bucket(BucketUrl { url, prefix })),
            _ => Err(InvalidLocation::Scheme(scheme.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_buckets_are_told_apart() {
        for (text, folder) in [
            ("checkpoints", "checkpoints"),
            ("/var/lib/a b", "/var/lib/a b"),
            ("file:///var/lib/a%20b", "/var/lib/a b"),
        ] {
            assert_eq!(Location::parse(text).unwrap(), Location::Folder(folder.into()));
        }
        for (text, prefix) in [
            ("s3://bucket", ""),
            ("s3://bucket/", ""),
            ("s3a://bucket/a/b/", "a/b"),
            ("https://bucket.s3.eu-west-1.amazonaws.com/a", "a"),
        ] {
            let Location::Bucket(bucket) = Location::parse(text).unwrap() else {
                panic!("{text} is no bucket");
            };
            assert_eq!(bucket.prefix.as_ref(), prefix, "{text}");
        }
    }

    #[test]
    fn other_addresses_are_refused_and_secrets_in_them_are_not_shown() {
        for text in ["gs://bucket/a", "http://example.org/a", "memory:///", "az://a/b"] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(error.contains("s3://bucket/prefix"), "{error}");
        }
        assert!(Location::parse("file://host/folder").is_err());
        for text in [
            "s3://key:verysecret@bucket/a",
            "s3://bucket/a?key=verysecret",
            "s3://bucket/a#verysecret",
        ] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(
                error.contains("AWS_SECRET_ACCESS_KEY") && !error.contains("verysecret"),
                "{error}"
            );
        }
    }
}
