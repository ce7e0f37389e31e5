// Module credhelpers pins docker-credential-pass, which docker-credential-gitea
// is measured against.
module github.com/docker-gitea/docker-gitea/test/tools/credhelpers

go 1.26

tool github.com/docker/docker-credential-helpers/pass/cmd

require github.com/docker/docker-credential-helpers v0.9.12
