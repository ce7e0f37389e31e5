package registrytest

// overSizeQuota reports whether an uploaded blob is too much for its owner:
// services/packages/packages.go, CheckSizeQuotaExceeded.
func (c *call) overSizeQuota(size int64) bool {
	quota := c.config().Quota
	if c.who.siteAdmin() {
		return false
	}
	if quota.BlobSize > 0 && size > quota.BlobSize {
		return true
	}
	if quota.OwnerSize == 0 {
		return false
	}
	c.reg.store.mu.Lock()
	defer c.reg.store.mu.Unlock()
	for _, repo := range c.reg.store.repositories {
		if repo.owner == c.owner {
			for _, f := range repo.files() {
				size += f.size
			}
		}
	}
	return size > quota.OwnerSize
}

// overCountQuota reports whether one more manifest is too much for its owner:
// CheckCountQuotaExceeded. One that replaces another is none more. The caller
// holds the store's mu.
func (c *call) overCountQuota(reference string) bool {
	quota := c.config().Quota
	if quota.OwnerCount == 0 || c.who.siteAdmin() {
		return false
	}
	count := 1
	for _, repo := range c.reg.store.repositories {
		if repo.owner != c.owner {
			continue
		}
		for _, v := range repo.versions {
			if repo.name != c.repository() || v.reference != reference {
				count++
			}
		}
	}
	return count > quota.OwnerCount
}
