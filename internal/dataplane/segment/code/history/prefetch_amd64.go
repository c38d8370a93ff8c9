package history

// prefetch begins to read n bytes, more than none, into the cache.
//
//go:noescape
func prefetch(p *byte, n int)
