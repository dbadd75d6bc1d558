/* @NAME@: values between C and the encoding. Written by `wherry bind`; do not edit. */
#ifndef @UPPER@_VALUES_H
#define @UPPER@_VALUES_H

#include <@PREFIX@.h>
#include <wherry_bind.h>

@VALUES@

#endif
