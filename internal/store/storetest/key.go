package storetest

import "bytes"

// firstKey: of two nodes that seal a tenant's first secret, both go on with the first one's key.
func firstKey(b *bench) {
	b.must(b.store.PutTenantKey(b.ctx, "t1", []byte("first")))
	b.must(b.store.PutTenantKey(b.ctx, "t1", []byte("second")))
	b.wantKey("first")
	done, err := b.store.ReplaceTenantKey(b.ctx, "t1", []byte("second"), []byte("third"))
	b.must(err)
	if done {
		b.Error("a key was replaced that was not the one that was read")
	}
	done, err = b.store.ReplaceTenantKey(b.ctx, "t1", []byte("first"), []byte("third"))
	b.must(err)
	if !done {
		b.Error("the key that was read was not replaced")
	}
	b.wantKey("third")
}

func (b *bench) wantKey(want string) {
	b.Helper()
	got, err := b.store.TenantKey(b.ctx, "t1")
	b.must(err)
	if !bytes.Equal(got, []byte(want)) {
		b.Errorf("the key is %q, want %q", got, want)
	}
}
