//! stub
use crate::report::outcome::Outcome;
use std::io;
use std::path::*;
pub(super) fn captures(_: &Path, _: &[PathBuf], _: bool) -> io::Result<Vec<PathBuf>> {
    Ok(vec![])
}
pub(super) fn junit(_: &Path, _: &[Outcome], _: bool) -> io::Result<()> {
    Ok(())
}
pub(super) struct Recorder;
impl Recorder {
    pub(super) fn create(_: &Path, _: i64) -> io::Result<Recorder> {
        Ok(Recorder)
    }
    pub(super) fn finish(self) -> io::Result<()> {
        Ok(())
    }
}
impl crate::sim::Observer for Recorder {
    fn see(
        &mut self,
        _: crate::sim::World<'_>,
        _: crate::sim::Subject,
        _: crate::sim::Happening<'_>,
    ) {
    }
}
