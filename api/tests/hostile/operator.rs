//! What happens to a machine: clocks that jump, disks that fill, small files that are lost, rights that are too wide.

mod full;
mod lost_files;
mod rights;
