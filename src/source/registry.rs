//! Where the registries of packages are and how to log in there, as their own clients are told.
use std::path::PathBuf; use std::sync::Arc; use url::Url; use crate::error::Result; use super::http::credential::Credential;
pub struct Registries; pub struct Npm; pub struct Cargo; pub struct Pypi;
impl Registries { pub fn npm(&self)->Result<Arc<Npm>>{todo!()} pub fn cargo(&self)->Result<Arc<Cargo>>{todo!()} pub fn pypi(&self)->Result<Arc<Pypi>>{todo!()} }
impl Npm { pub fn registry_of(&self,_:&str)->Result<Url>{todo!()} pub fn credential_for(&self,_:&Url)->Option<Credential>{todo!()} pub fn trust(&self)->&[PathBuf]{todo!()} pub fn proxy(&self)->Option<&str>{todo!()}}
impl Cargo { pub fn default_index(&self)->Result<Url>{todo!()} pub fn credential_for(&self,_:&Url)->Option<Credential>{todo!()} pub fn trust(&self)->&[PathBuf]{todo!()} pub fn proxy(&self)->Option<&str>{todo!()}}
impl Pypi { pub fn indexes(&self)->Result<Vec<Url>>{todo!()} pub fn credential_for(&self,_:&Url)->Option<Credential>{todo!()} pub fn trust(&self)->&[PathBuf]{todo!()} pub fn proxy(&self)->Option<&str>{todo!()}}
