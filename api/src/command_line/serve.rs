//! `riskgrid serve`.

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{VerbResult, asked_to_stop};
use crate::config::{Checked, Config};
use crate::server::{Server, ServerOptions};

/// Where and with what.
#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// Configuration file. Every key and its default: riskgrid.default.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port; wins over server.listen. Port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Folder of this node's state; wins over storage.data_dir.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Play file feeds at so many event seconds a second. Default: what each feed says, else as fast as it goes.
    #[arg(long, value_name = "FACTOR", value_parser = positive)]
    speed: Option<f64>,
}

/// A number above 0.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("must be a number above 0".to_owned()),
    }
}

/// Serves until it is asked to stop: the folder of its state, and how it went.
pub(super) async fn run(
    arguments: ServeArguments,
) -> Result<(PathBuf, VerbResult), Box<dyn Error + Send + Sync>> {
    let mut flags = Vec::new();
    if let Some(listen) = arguments.listen {
        flags.push(("server.listen", listen.to_string()));
    }
    if let Some(data_dir) = &arguments.data_dir {
        flags.push(("storage.data_dir", data_dir.display().to_string()));
    }
    let loaded = Config::load(arguments.config.as_deref(), &flags)?;
    let folder = loaded.folder.clone();
    let checked = loaded.check()?;
    let data_dir = checked.config.storage.data_dir.clone();
    let options = ServerOptions {
        speed: arguments.speed,
        base_map: None,
    };
    Ok((data_dir, serve(checked, &folder, options).await))
}

async fn serve(checked: Checked, folder: &Path, options: ServerOptions) -> VerbResult {
    let server = Box::pin(Server::start(checked, folder, options)).await?;
    // Whoever reads that line may stop it at once.
    let stop = asked_to_stop();
    println!("riskgrid serves {}", server.url());
    stop.await?;
    tracing::info!("stopping: draining, then a last checkpoint");
    server.stop().await?;
    tracing::info!("stopped");
    Ok(())
}
