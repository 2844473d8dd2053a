//! A guide to the mount, for the instructions of agents.

use std::path::PathBuf;

use serde::Serialize;

use super::{Context, mounts};
use crate::error::Result;
use crate::view::guide::{self, Form};

/// The guide.
#[derive(Clone, Debug, Serialize)]
pub struct Guide {
    /// The mount that it is about.
    pub mount_point: PathBuf,
    /// Whether that is mounted now.
    pub mounted: bool,
    /// The text.
    pub text: String,
}

/// The guide in this form: about the usual mount of the context's cache, else another one of it, else
/// about where it would be mounted.
pub fn guide(context: &Context, form: Form) -> Result<Guide> {
    let mounted = mounts::usual(context)?.map(|mounted| mounted.mount_point);
    let (mount_point, mounted) = match mounted {
        Some(mount_point) => (mount_point, true),
        None => (context.environment.mount_point(None)?, false),
    };
    let text = guide::text(form, &mount_point, &context.config);
    Ok(Guide { mount_point, mounted, text })
}
