// Package samples makes the images that the tests push: OCI layouts, archives as
// `docker save` writes them, and folders to build from. The same seed gives the
// same bytes, and no two seeds a blob in common.
package samples
