//! What comes over HTTP and cannot be meant well: foreign pages, half-sent requests, bodies made to grow.
