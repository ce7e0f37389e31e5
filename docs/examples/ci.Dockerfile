# docker with the plugin and the credential helper, for jobs.
FROM docker:cli
COPY --from=git.example.com/me/docker-gitea:1 /docker-gitea /usr/local/libexec/docker/cli-plugins/docker-gitea
COPY --from=git.example.com/me/docker-gitea:1 /docker-credential-gitea /usr/local/bin/docker-credential-gitea
