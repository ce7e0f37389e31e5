// Package model shows that a push leaves the right image under every tag,
// whatever came before. It makes up histories of a small world: two registries,
// a daemon of each store, and two users with a cache each. The plugin pushes in it.
// After each push the package compares every tag, byte for byte, with what a client
// without any memory would have put there.
//
// # How the files fit together
//
//   - picture.go: the images that there are, in every form that a tool gives
//     them; form.go writes them as files.
//   - host.go: a registry, what it holds, and what others do to it.
//   - inventory.go: what a daemon holds; daemon.go: its API, as the plugin asks
//     it; dockerpush.go: its own push.
//   - world.go: all of them together.
//   - event.go: what happens besides pushes; source.go and push.go: a push, from a file,
//     a daemon or a registry (remote.go), of one image or of several; trouble.go: what
//     goes wrong in the middle of it; check.go: what is looked at afterwards.
//   - oracle.go: what has to be there, by the bytes of the source and the
//     options of the push alone; anew.go: where these make another image of it. Nothing of
//     this project helps to say it but the compressors, which make the same of the
//     same bytes.
//   - history.go: a history, and how it happens; choice.go: how its parts are made up.
//
// The registries are those of registrytest and the daemons scripted, or, with
// the tag e2e, real ones. What fails is shrunk by rapid to the shortest history
// that still fails.
package model
