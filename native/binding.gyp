{
  # What the addon is made of: every .cc of the four folders, compiled once for two addons: the one that is shipped, and
  # one for tests with what the other must not let out. libipsec-mb exists on x86-64 only; elsewhere AES comes from
  # the OpenSSL inside node. BLAKE3 is libblake3 where Debian has it (13 on), else the official C sources that Debian 12
  # ships; blake3.gypi decides.
  'target_defaults': {
    'defines': ['NAPI_VERSION=9', '_GNU_SOURCE', '_FILE_OFFSET_BITS=64'],
    'include_dirs': ['.'],
    'cflags': ['<!@(bash hardening compile)'],
    'ldflags': ['<!@(bash hardening link)'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-fno-exceptions'],
    'cflags_cc': ['-std=c++20', '-O2', '-fvisibility=hidden', '-Wall', '-Wextra', '-Wshadow', '-Werror=return-type'],
  },
  'targets': [
    {
      'target_name': 'coffer_parts',
      'type': 'static_library',
      'sources': ['<!@(ls common/*.cc fuse_device/*.cc data_path/*.cc leveldb/*.cc)'],
      'includes': ['blake3.gypi'],
      'link_settings': {'libraries': ['-llz4', '-lzstd', '-lxxhash', '-lpthread']},
    },
    {
      'target_name': 'coffer',
      'sources': ['addon.cc'],
      'dependencies': ['coffer_parts'],
    },
    {
      'target_name': 'coffer_test_exports',
      'sources': ['test_exports.cc'],
      'dependencies': ['coffer_parts'],
    },
  ],
}
