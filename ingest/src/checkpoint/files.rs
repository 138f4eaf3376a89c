//! Files that are made once and whole, in folders below one place: on a disk, or in an object store.

use std::path::Path;

use super::CheckpointError;
use super::bucket::Bucket;
use super::folder::Folder;
use super::location::{BucketSettings, Location};
use crate::disk::Room;

/// A place below which partitions have folders, and folders have files. Copies are the same place.
#[derive(Clone, Debug)]
pub struct Files(Place);

#[derive(Clone, Debug)]
enum Place {
    Folder(Folder),
    Bucket(Bucket),
}

impl Files {
    /// Opens a folder, made when absent, or a bucket, which must be there. `settings` say how a bucket is reached.
    ///
    /// # Errors
    /// A folder that cannot be made; a store that does not answer, does not let this node in, or cannot tell the first
    /// of two writers of a name.
    pub fn open(location: &Location, settings: &BucketSettings) -> Result<Self, CheckpointError> {
        match location {
            Location::Folder(folder) => Self::open_folder(folder),
            Location::Bucket(url) => Bucket::open(url, settings).map(|bucket| Self(Place::Bucket(bucket))),
        }
    }

    /// Opens a folder, made when absent.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open_folder(folder: &Path) -> Result<Self, CheckpointError> {
        Folder::open(folder).map(|folder| Self(Place::Folder(folder)))
    }

    /// The same, which leaves free what `room` says where it is a folder.
    #[must_use]
    pub fn within(self, room: Room) -> Self {
        match self.0 {
            Place::Folder(place) => Self(Place::Folder(place.within(room))),
            bucket @ Place::Bucket(_) => Self(bucket),
        }
    }

    /// Whether both are one place, under whatever names.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Place::Folder(one), Place::Folder(other)) => one.is_same_place(other),
            (Place::Bucket(one), Place::Bucket(other)) => one.is_same_place(other),
            (Place::Folder(_), Place::Bucket(_)) | (Place::Bucket(_), Place::Folder(_)) => false,
        }
    }

    /// A folder as people find it.
    pub(crate) fn place(&self, folder: &str) -> String {
        match &self.0 {
            Place::Folder(place) => place.place(folder),
            Place::Bucket(place) => place.place(folder),
        }
    }

    /// A file as people find it.
    pub(crate) fn place_of(&self, folder: &str, name: &str) -> String {
        if folder.is_empty() {
            self.place(name)
        } else {
            self.place(&format!("{folder}/{name}"))
        }
    }

    /// The folders, in order of their names.
    pub(crate) fn folders(&self) -> Result<Vec<String>, CheckpointError> {
        match &self.0 {
            Place::Folder(place) => place.folders(),
            Place::Bucket(place) => place.folders(),
        }
    }

    /// The files of a folder, in order of their names; none when it does not exist.
    pub(crate) fn names(&self, folder: &str) -> Result<Vec<String>, CheckpointError> {
        match &self.0 {
            Place::Folder(place) => place.names(folder),
            Place::Bucket(place) => place.names(folder),
        }
    }

    /// The bytes of a file.
    pub(crate) fn read(&self, folder: &str, name: &str) -> Result<Vec<u8>, CheckpointError> {
        match &self.0 {
            Place::Folder(place) => place.read(folder, name),
            Place::Bucket(place) => place.read(folder, name),
        }
    }

    /// Makes a file that is whole and durable under its name, or not there at all. `false`: the name is taken, by
    /// another writer perhaps, whose file stays as it is.
    pub(crate) fn create(&self, folder: &str, name: &str, bytes: &[u8]) -> Result<bool, CheckpointError> {
        match &self.0 {
            Place::Folder(place) => place.create(folder, name, bytes),
            Place::Bucket(place) => place.create(folder, name, bytes),
        }
    }

    /// Removes a file; one that cannot be removed now is found again the next time.
    pub(crate) fn remove(&self, folder: &str, name: &str) {
        match &self.0 {
            Place::Folder(place) => place.remove(folder, name),
            Place::Bucket(place) => place.remove(folder, name),
        }
    }
}
