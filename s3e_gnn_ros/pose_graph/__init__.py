"""The GTSAM back end: the only importer of gtsam."""
