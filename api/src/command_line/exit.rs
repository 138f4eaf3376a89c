//! How the program ends: what scripts and service managers may rely on.

use std::error::Error;

use crate::config::ConfigError;
use crate::server::StartError;

/// What `--help` says of it.
pub(super) const EXIT_STATUS: &str = "Exit status: 0 when it was done; 1 when it could not be done (state, machine, network, \
    a server's answer); 2 when the command line or the configuration is wrong.";

/// The exit status of a failure. Of a wrong command line the parser tells by itself.
pub(super) fn status_of(error: &(dyn Error + Send + Sync + 'static)) -> u8 {
    let is_configuration = error.is::<ConfigError>()
        || error
            .downcast_ref::<StartError>()
            .is_some_and(StartError::is_configuration);
    if is_configuration { 2 } else { 1 }
}
