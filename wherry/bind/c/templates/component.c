/* @NAME@: the component, with the digest @DIGEST@. Written by `wherry bind`; do not edit. */
#ifndef @UPPER@_COMPONENT
#error "define @UPPER@_COMPONENT as the path of @PREFIX@.wasm, as CMakeLists.txt does"
#endif

/* As the assembler takes it: compilers need minutes for a large array, and seconds or nothing for this. */
__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        ".globl @COMPONENT@\n"
        ".hidden @COMPONENT@\n"
        ".type @COMPONENT@, %object\n"
        "@COMPONENT@:\n"
        ".incbin \"" @UPPER@_COMPONENT "\"\n"
        ".globl @COMPONENT@_end\n"
        ".hidden @COMPONENT@_end\n"
        "@COMPONENT@_end:\n"
        ".byte 0\n"
        ".popsection\n");

/* A file has to have something. */
extern const unsigned char @COMPONENT@[];
