package daemon

import (
	"context"
	"net"
	"net/netip"
)

// registryConfig is what a daemon says of its insecure-registries.
type registryConfig struct {
	InsecureRegistryCIDRs []netip.Prefix
	IndexConfigs          map[string]struct{ Secure bool }
}

// Insecure reports whether the daemon accepts any certificate of host, and
// plain HTTP: its insecure-registries have the host's name, or an address that
// it has, which those of this machine always are (moby
// daemon/pkg/registry/config.go, isSecureIndex).
func (i Info) Insecure(ctx context.Context, host string) bool {
	if index, named := i.RegistryConfig.IndexConfigs[host]; named {
		return !index.Secure
	}
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return false
	}
	for _, address := range addresses {
		for _, prefix := range i.RegistryConfig.InsecureRegistryCIDRs {
			if prefix.Contains(address.Unmap()) {
				return true
			}
		}
	}
	return false
}
