{
  # What the addon is made of: every .cc of the four folders. libipsec-mb exists on x86-64 only; elsewhere
  # AES comes from the OpenSSL inside node. BLAKE3 is libblake3 where Debian has it (13 on), else the official C
  # sources that Debian 12 ships; blake3.gypi decides.
  'targets': [
    {
      'target_name': 'coffer',
      'sources': ['<!@(ls addon.cc common/*.cc fuse_device/*.cc data_path/*.cc leveldb/*.cc)'],
      'defines': ['NAPI_VERSION=9', '_GNU_SOURCE', '_FILE_OFFSET_BITS=64'],
      'include_dirs': ['.'],
      'cflags': ['<!@(bash hardening compile)'],
      'ldflags': ['<!@(bash hardening link)'],
      'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-fno-exceptions'],
      'cflags_cc': ['-std=c++20', '-O2', '-fvisibility=hidden', '-Wall', '-Wextra', '-Wshadow', '-Werror=return-type'],
      'libraries': ['-llz4', '-lzstd', '-lxxhash', '-lpthread'],
      'includes': ['blake3.gypi'],
    },
  ],
}
