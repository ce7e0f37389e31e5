package daemon

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
)

// registryConfig is what a daemon says of its insecure-registries and mirrors.
// Those of this machine are always among the prefixes.
type registryConfig struct {
	InsecureRegistryCIDRs []netip.Prefix
	IndexConfigs          map[string]struct{ Secure bool }
	Mirrors               []string
}

// configured reports whether there is anything that the user has set.
func (c registryConfig) configured() bool {
	for _, index := range c.IndexConfigs {
		if !index.Secure {
			return true
		}
	}
	return len(c.Mirrors) > 0 ||
		slices.ContainsFunc(c.InsecureRegistryCIDRs, func(p netip.Prefix) bool { return !p.Addr().IsLoopback() })
}

// Insecure reports whether the daemon accepts any certificate of host, and
// plain HTTP: its insecure-registries have the host's name, or an address that
// it has (moby daemon/pkg/registry/config.go, isSecureIndex). With containerd's
// store they are looked at only where the user has set any, or a mirror
// (daemon/hosts.go, RegistryHosts); else that accepts localhost and the
// addresses of this machine, but no other name that leads to them.
func (i Info) Insecure(ctx context.Context, host string) bool {
	if index, named := i.RegistryConfig.IndexConfigs[host]; named {
		return !index.Secure
	}
	name := (&url.URL{Host: host}).Hostname()
	if i.Containerd() && !i.RegistryConfig.configured() {
		address, err := netip.ParseAddr(name)
		return name == "localhost" || err == nil && address.IsLoopback()
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
