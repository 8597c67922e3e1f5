/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware.h"
#include "sdkconfig.h"
#include "soc/soc_caps.h"

/* The emulator has no sensor, the ESP32 none that is worth the name. */
#if defined(SOC_TEMP_SENSOR_SUPPORTED) && SOC_TEMP_SENSOR_SUPPORTED &&                             \
    !defined(CONFIG_KEDGE_NET_OPENETH)

#include "driver/temperature_sensor.h"

#define RANGE_MIN_C (-10)
#define RANGE_MAX_C 80

static bool read_temperature(int32_t *out_mc)
{
    static temperature_sensor_handle_t s_sensor;
    const temperature_sensor_config_t config =
        TEMPERATURE_SENSOR_CONFIG_DEFAULT(RANGE_MIN_C, RANGE_MAX_C);
    float celsius;

    if (s_sensor == NULL && (temperature_sensor_install(&config, &s_sensor) != ESP_OK ||
                             temperature_sensor_enable(s_sensor) != ESP_OK)) {
        return false;
    }
    if (temperature_sensor_get_celsius(s_sensor, &celsius) != ESP_OK) {
        return false;
    }
    *out_mc = (int32_t)(celsius * 1000.0f);
    return true;
}

#else

static bool read_temperature(int32_t *out_mc)
{
    (void)out_mc;
    return false;
}

#endif

void vitals_fill(void *ctx, struct kedge_vitals *vitals)
{
    (void)ctx;
    vitals->unix_s = clock_now_s();
    (void)network_rssi(&vitals->rssi_dbm);
    vitals->has_temperature = read_temperature(&vitals->temperature_mc);
}
