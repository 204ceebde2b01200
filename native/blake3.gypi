{
  # Where BLAKE3 and AES come from. BLAKE3: the system's library where pkg-config knows it (Debian 13), else the
  # official C sources that librust-blake3-dev installs, compiled through the wrapper units in data_path/blake3.
  # AES-GCM: libipsec-mb on x86-64; elsewhere the OpenSSL inside node serves alone.
  'variables': {
    'blake3_source': '<!(pkg-config --exists libblake3 && echo library || ls -d /usr/share/cargo/registry/blake3-*/c | tail -n 1)',
  },
  'conditions': [
    ['blake3_source=="library"', {
      'link_settings': {'libraries': ['<!@(pkg-config --libs libblake3 2>/dev/null || true)']},
      'cflags': ['<!@(pkg-config --cflags libblake3 2>/dev/null || true)'],
    }, {
      'include_dirs': ['<(blake3_source)'],
      'sources': [
        'data_path/blake3/hash.c',
        'data_path/blake3/dispatch.c',
        'data_path/blake3/portable.c',
      ],
      'conditions': [
        ['target_arch=="x64"', {
          'sources': [
            'data_path/blake3/sse2.S',
            'data_path/blake3/sse41.S',
            'data_path/blake3/avx2.S',
            'data_path/blake3/avx512.S',
          ],
        }],
        ['target_arch=="arm64"', {
          'sources': ['data_path/blake3/neon.c'],
          'defines': ['BLAKE3_USE_NEON=1'],
        }],
      ],
    }],
    ['target_arch=="x64"', {
      'defines': ['COFFER_HAVE_IPSEC_MB'],
      'link_settings': {'libraries': ['-lIPSec_MB']},
    }],
  ],
}
